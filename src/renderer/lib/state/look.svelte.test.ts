import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import { Look } from './look.svelte.ts';
import { settled } from './test-engine.ts';

/** A look at a counter by a clock that the test moves. */
function counting(everyMs = 5_000) {
  const at = { ms: 0, reads: 0, fail: null as Error | null };
  const look = new Look<number>(
    () => {
      at.reads += 1;
      return at.fail === null ? Promise.resolve(at.reads) : Promise.reject(at.fail);
    },
    everyMs,
    () => at.ms,
  );
  const follow = async (ms: number): Promise<void> => {
    at.ms = ms;
    look.follow();
    await settled();
  };
  return { at, look, follow };
}

describe('a look', () => {
  it('is taken again when its time has come, and says when it was taken', async () => {
    const { at, look, follow } = counting();
    await follow(1_000);
    expect([look.value, look.asOfMs, look.known]).toEqual([1, 1_000, true]);
    await follow(5_999);
    expect(at.reads).toBe(1);
    await follow(6_000);
    expect([look.value, look.asOfMs]).toEqual([2, 6_000]);
  });

  it('on demand is never taken by itself once it was', async () => {
    const { at, look, follow } = counting(Infinity);
    await look.load();
    await follow(1e9);
    expect(at.reads).toBe(1);
  });

  it('that fails keeps what was known, and is tried less and less often', async () => {
    const { at, look, follow } = counting();
    await follow(0);
    at.fail = new HeadwayError('timeout', 'no answer', { retryable: true });
    await follow(5_000);
    expect([look.value, look.asOfMs, look.error?.message]).toEqual([1, 0, 'no answer']);
    await follow(14_999);
    expect(at.reads).toBe(2);
    await follow(15_000);
    await follow(34_999);
    expect(at.reads).toBe(3);
    at.fail = null;
    await follow(35_000);
    expect([look.value, look.error]).toEqual([4, null]);
    await follow(40_000);
    expect(look.value).toBe(5);
  });

  it('that fails for a reason that stays is tried by hand only', async () => {
    const { at, look, follow } = counting();
    at.fail = new HeadwayError('grant-missing', 'no SELECT on job');
    await follow(0);
    await follow(1e9);
    expect(at.reads).toBe(1);
    at.fail = null;
    await look.load();
    expect([look.value, look.error]).toEqual([2, null]);
  });

  it('shows the newest answer, whichever comes last', async () => {
    const answers: ((value: string) => void)[] = [];
    const look = new Look<string>(() => new Promise((resolve) => answers.push(resolve)), 1_000);
    void look.load();
    void look.load();
    answers[1]?.('new');
    await settled();
    answers[0]?.('old');
    await settled();
    expect([look.value, look.loading]).toEqual(['new', false]);
  });

  it('that nobody waits for any more says nothing', async () => {
    const { at, look } = counting();
    at.fail = new HeadwayError('cancelled', 'gone');
    void look.load();
    look[Symbol.dispose]();
    await settled();
    expect([look.error, look.known]).toEqual([null, false]);
  });
});
