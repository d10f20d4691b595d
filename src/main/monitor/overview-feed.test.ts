import { describe, expect, it } from 'vitest';
import { applyRows, overviewDeltaSchema, type OverviewDelta, type TenantRow } from '../../contract/live.ts';
import { overviewHead, tenantRow } from '../../contract/plain-rows.ts';
import { atLeast, exact } from '../../core/count.ts';
import { seededRandom } from '../../core/seeded-random.ts';
import { OverviewFeed, rowChange } from './overview-feed.ts';

const never = new AbortController().signal;
const rowsOf = (...rows: TenantRow[]) => new Map(rows.map((row) => [row.id, row]));
const copy = <T>(value: T): T => structuredClone(value);

describe('rowChange', () => {
  it('is the whole of a new row and nothing of an equal one', () => {
    const row = tenantRow({ ready: exact(3), spark: [1, null] });
    expect(rowChange(undefined, row)).toEqual(row);
    expect(rowChange(row, copy(row))).toBeNull();
  });

  it('is only the fields that differ, also when they become null or stop being it', () => {
    const before = tenantRow({ lagMs: 5, severity: 'warning', ready: exact(3), spark: [1] });
    const after = tenantRow({ lagMs: null, severity: null, ready: atLeast(3), spark: [1, null], ageMs: 7 });
    expect(rowChange(before, after)).toEqual({
      id: '3',
      lagMs: null,
      severity: null,
      ready: atLeast(3),
      spark: [1, null],
      ageMs: 7,
    });
  });
});

describe('OverviewFeed', () => {
  it('gives the overview of now, then the changes, until the follower leaves', () => {
    const feed = new OverviewFeed(overviewHead());
    feed.publish(overviewHead({ asOfMs: 1 }), rowsOf(tenantRow({ id: '1' }), tenantRow({ id: '2' })));
    const deltas: OverviewDelta[] = [];
    const leaving = new AbortController();
    const snapshot = feed.follow((delta) => deltas.push(delta), leaving.signal);
    expect(snapshot).toMatchObject({ head: { asOfMs: 1 }, rows: [{ id: '1' }, { id: '2' }] });

    feed.publish(
      overviewHead({ asOfMs: 2 }),
      rowsOf(tenantRow({ id: '2', lagMs: 9 }), tenantRow({ id: '4' })),
    );
    expect(deltas).toEqual([
      {
        head: overviewHead({ asOfMs: 2 }),
        changed: [{ id: '2', lagMs: 9 }, tenantRow({ id: '4' })],
        removed: ['1'],
      },
    ]);
    leaving.abort();
    feed.publish(overviewHead(), rowsOf());
    expect(deltas).toHaveLength(1);
  });

  it('shows a follower that comes late what was published while nobody followed', () => {
    const feed = new OverviewFeed(overviewHead());
    for (let lagMs = 0; lagMs < 5; lagMs++) feed.publish(overviewHead(), rowsOf(tenantRow({ lagMs })));
    expect(feed.follow(() => undefined, never).rows).toEqual([tenantRow({ lagMs: 4 })]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('leads every follower to the same rows (play %i)', (seed) => {
    const random = seededRandom(seed);
    // The index is always inside: random() is under 1.
    const oneOf = <T>(...values: T[]): T => values[Math.floor(random() * values.length)] as T;
    const randomRow = (id: string): TenantRow =>
      tenantRow({
        id,
        name: oneOf('a', 'b'),
        status: oneOf('ok', 'lagging', 'no-data'),
        severity: oneOf(null, 'warning', 'critical'),
        lagMs: oneOf(null, 0, 17.5),
        ready: oneOf(exact(0), exact(1), atLeast(1)),
        cause: oneOf(null, { kind: 'unclear', text: 'unclear', evidence: ['e'], also: [] }),
        behind: oneOf(null, { ahead: exact(2), tenants: [{ id: '9', name: 'n', share: random() }] }),
        timeToEmpty: oneOf({ kind: 'unknown' }, { kind: 'range', minMs: 1, maxMs: random() }),
        paused: oneOf(null, { by: 'x', sinceMs: null, reason: '' }),
        spark: oneOf([], [null], [1, null]),
      });
    const feed = new OverviewFeed(overviewHead());
    const followers: { rows: Map<string, TenantRow>; leave: AbortController }[] = [];
    for (let step = 0; step < 150; step++) {
      if (random() < 0.1) {
        const leave = new AbortController();
        const follower = { rows: new Map<string, TenantRow>(), leave };
        const { rows } = feed.follow((delta) => {
          // As over the wire: parsed, and no object is shared.
          applyRows(follower.rows, overviewDeltaSchema.parse(JSON.parse(JSON.stringify(delta))));
        }, leave.signal);
        for (const row of copy(rows)) follower.rows.set(row.id, row);
        followers.push(follower);
      }
      if (random() < 0.05) followers.splice(0, 1)[0]?.leave.abort();
      const next = new Map<string, TenantRow>();
      for (let id = 0; id < 6; id++) {
        const known = feed.rows.get(String(id));
        // Most rows stay as they are, some change a field, some come and some go.
        if (known !== undefined && random() < 0.6) next.set(known.id, copy(known));
        else if (random() < 0.8) next.set(String(id), randomRow(String(id)));
      }
      feed.publish(overviewHead({ asOfMs: step }), next);
      for (const { rows } of followers)
        expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(feed.rows));
    }
    expect(followers.length).toBeGreaterThan(0);
  });
});
