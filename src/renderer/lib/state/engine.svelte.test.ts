import { beforeEach, describe, expect, it } from 'vitest';
import type { EngineView } from '../../../contract/engine-report.ts';
import { blockedGroups, BlockedSetState } from './blocked-set.svelte.ts';
import { DeadSetState, keyOfGroup } from './dead-set.svelte.ts';
import { EngineState } from './engine.svelte.ts';
import { TestBackend } from './test-backend.ts';
import { eagerPainter, engineView, jobRecord, settled } from './test-engine.ts';

let backend: TestBackend;
beforeEach(() => {
  backend = new TestBackend();
});

describe('an engine', () => {
  it('tells each view it paints, and the time by its own clock', () => {
    const painter = eagerPainter();
    const engine = new EngineState(backend, painter, 'jobs', () => 1_000);
    const seen: EngineView[] = [];
    engine.onView = (view) => seen.push(view);
    backend.snapshot('engine', engineView({ asOfMs: 5_000 }));
    expect(engine.view?.asOfMs).toBe(5_000);
    expect(seen).toHaveLength(1);
    expect(engine.storeTime(1_200)).toBe(5_200);
    painter.toggle(1_300);
    expect(engine.storeTime(60_000)).toBe(5_300);
  });

  it('says why it cannot be followed until it can', () => {
    const engine = new EngineState(backend, eagerPainter(), 'jobs');
    backend.open[0]?.listener.error({ code: 'not-found', message: 'no engine', retryable: false });
    expect(engine.error?.message).toBe('no engine');
    backend.snapshot('engine', engineView());
    expect(engine.error).toBeNull();
    engine[Symbol.dispose]();
    expect(backend.open).toEqual([]);
  });
});

describe('the dead set', () => {
  const group = (kind: string, count: number): EngineView['deadGroups'][number] => ({
    kind,
    cause: 'it hung',
    class: 'timeout',
    count,
    lastAtMs: 0,
    example: 'it hung',
  });
  const order = (dead: DeadSetState): string =>
    dead.groups.map(({ kind, count }) => `${kind} ${count}`).join(', ');

  it('stands largest first, and still while it is pointed at', () => {
    const dead = new DeadSetState(backend, 'jobs');
    dead.take([group('a', 1), group('b', 9)]);
    expect(order(dead)).toBe('b 9, a 1');
    dead.held = true;
    dead.take([group('c', 50), group('a', 20)]);
    expect(order(dead)).toBe('b 0, a 20, c 50');
    dead.held = false;
    dead.take([group('c', 50), group('a', 20)]);
    expect(order(dead)).toBe('c 50, a 20');
  });

  it('reads the jobs of the group that is looked at, and again when their number changes', async () => {
    backend.answer = () => [jobRecord(7)];
    const dead = new DeadSetState(backend, 'jobs');
    dead.take([group('b', 9), group('a', 1)]);
    await settled();
    expect(dead.jobs?.list.map(({ id }) => id)).toEqual([7]);
    expect(backend.calls.map(({ input }) => input)).toEqual([
      { connectionId: 'jobs', filter: { kind: 'b', cause: 'it hung' }, afterId: 0, limit: 200 },
    ]);
    dead.held = true;
    dead.take([group('b', 8), group('a', 1)]);
    expect(dead.stale).toBe(true);
    expect(backend.calls).toHaveLength(1);
    dead.held = false;
    dead.take([group('b', 8), group('a', 1)]);
    expect(dead.stale).toBe(false);
    expect(backend.calls).toHaveLength(2);
    dead.move(1);
    expect(dead.chosenKey).toBe(keyOfGroup({ kind: 'a', cause: 'it hung' }));
  });
});

describe('blocked jobs', () => {
  it('stand by the job that is to blame, the one that blocks most first', () => {
    const blocked = (id: number, ancestorId: number) => ({
      job: jobRecord(id, { state: 'blocked' }),
      ancestorId,
    });
    expect(
      blockedGroups([blocked(5, 1), blocked(6, 2), blocked(7, 2), blocked(8, 1), blocked(9, 2)]).map(
        ({ ancestorId, jobs }) => [ancestorId, jobs.map(({ id }) => id)],
      ),
    ).toEqual([
      [2, [6, 7, 9]],
      [1, [5, 8]],
    ]);
  });

  it('are read again when their number changes, not at the first word of it', async () => {
    backend.answer = () => [];
    const blocked = new BlockedSetState(backend, 'jobs');
    await settled();
    blocked.take(4);
    expect(backend.calls).toHaveLength(1);
    blocked.take(4);
    expect(backend.calls).toHaveLength(1);
    blocked.take(3);
    expect(backend.calls).toHaveLength(2);
  });

  it('go page by page from the last one read', async () => {
    const page = (afterId: number, length: number) =>
      Array.from({ length }, (_, n) => ({ job: jobRecord(afterId + n + 1), ancestorId: 1 }));
    backend.answer = (_method, input) => {
      // Only pages of blocked jobs are asked for here.
      const { afterId, limit } = input as { afterId: number; limit: number };
      return page(afterId, afterId === 0 ? limit : 3);
    };
    const { pages } = new BlockedSetState(backend, 'jobs');
    await settled();
    expect(pages.hasMore).toBe(true);
    await pages.more();
    expect(pages.list).toHaveLength(203);
    expect(pages.list.at(-1)?.job.id).toBe(203);
    expect(pages.hasMore).toBe(false);
    await pages.more();
    expect(backend.calls).toHaveLength(2);
  });
});
