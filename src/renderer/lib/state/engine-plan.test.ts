import { describe, expect, it } from 'vitest';
import { atLeast, exact } from '../../../core/count.ts';
import { planOf } from './engine-plan.ts';

const plain = { byName: false, nameOf: (id: string) => (id === '3' ? 'mailflow' : id) };
const byName = { ...plain, byName: true };
const kind = { tenantId: null, kind: 'sync' };
const dead = { kind: 'sync', cause: 'it hung' };

describe('a plan', () => {
  it('says what a pause does and asks why', () => {
    const plan = planOf({ do: 'hold', mode: 'pause', scope: { tenantId: '3', kind: null } }, plain);
    expect(plan).toMatchObject({
      title: 'Pause tenant mailflow?',
      asksReason: true,
      danger: false,
      typed: null,
    });
    expect(plan.does.join(' ')).toContain('new jobs are taken and wait');
  });

  it('says that a drain refuses new jobs', () => {
    const plan = planOf({ do: 'hold', mode: 'drain', scope: kind }, plain);
    expect(plan.does[0]).toBe(
      'New jobs of kind sync are refused: their senders get an error until it is resumed.',
    );
  });

  it('asks for the name where the connection wants it', () => {
    expect(planOf({ do: 'hold', mode: 'pause', scope: { tenantId: '3', kind: null } }, byName).typed).toBe(
      'mailflow',
    );
    expect(planOf({ do: 'unhold', scope: kind }, byName).typed).toBe('sync');
    expect(planOf({ do: 'hold', mode: 'drain', scope: { tenantId: null, kind: null } }, byName).typed).toBe(
      'everything',
    );
  });

  it('bounds the count by what is known of it', () => {
    const title = (count: ReturnType<typeof exact>): string =>
      planOf({ do: 'bulk', what: 'requeue', filter: {}, count }, plain).title;
    expect(title(exact(1))).toBe('Requeue 1 dead job?');
    expect(title(exact(212))).toBe('Requeue 212 dead jobs?');
    expect(title(atLeast(10_000))).toBe('Requeue 10,000+ dead jobs?');
  });

  it('asks harder before it destroys than before anything else', () => {
    const ask = (what: 'requeue' | 'discard' | 'release' | 'cancel') =>
      planOf({ do: 'bulk', what, filter: dead, count: exact(5) }, plain);
    expect(ask('discard')).toMatchObject({ danger: true, typed: 'sync', undo: 'It cannot be undone.' });
    for (const what of ['requeue', 'release', 'cancel'] as const) expect(ask(what).typed).toBeNull();
  });

  it('does not speak of jobs that come to fit where one job is meant', () => {
    const does = (filter: object): string =>
      planOf({ do: 'bulk', what: 'requeue', filter, count: exact(1) }, plain).does.join(' ');
    expect(does({ ids: [7] })).toMatch(/^Job 7 become/);
    expect(does({ ids: [7] })).not.toContain('come to fit');
    expect(does(dead)).toContain('come to fit');
  });
});
