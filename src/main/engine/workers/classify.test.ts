import { describe, expect, it } from 'vitest';
import type { ErrorClass } from '../../../core/error-class.ts';
import { failureOf } from './classify.ts';
import { JobError } from './handler.ts';

const error = (message: string, more: object = {}): Error => Object.assign(new Error(message), more);
/** As fetch throws: the reason is the cause. */
const fetchFailed = (code: string): Error =>
  new TypeError('fetch failed', { cause: error(`connect ${code} 127.0.0.1:1`, { code }) });

describe('a failure', () => {
  it.each<[string, unknown, ErrorClass]>([
    ['that says what it is', new JobError('quota', 'used up'), 'quota'],
    ['of no known kind', error('boom'), 'transient'],
    ['that is no error', 'boom', 'transient'],
    ['that is nothing', undefined, 'transient'],
    ['of a refused connection', fetchFailed('ECONNREFUSED'), 'transient'],
    ['of a connection cut off', error('socket hang up', { code: 'ECONNRESET' }), 'transient'],
    ['of a name that is not there', fetchFailed('ENOTFOUND'), 'transient'],
    ['of a connection that took too long', fetchFailed('UND_ERR_CONNECT_TIMEOUT'), 'timeout'],
    ['of a socket that took too long', error('timeout', { code: 'ETIMEDOUT' }), 'timeout'],
    ['of AbortSignal.timeout', new DOMException('late', 'TimeoutError'), 'timeout'],
    ['of an abort', new DOMException('This operation was aborted', 'AbortError'), 'timeout'],
    ['in what it was given', brokenJson(), 'permanent'],
    ['in its own code', new ReferenceError('x is not defined'), 'permanent'],
    ['of a bad address', error('Invalid URL', { code: 'ERR_INVALID_URL' }), 'permanent'],
    ['with 400', error('bad request', { status: 400 }), 'permanent'],
    ['with 401', error('who are you', { statusCode: 401 }), 'permanent'],
    ['with 402', error('payment required', { status: 402 }), 'quota'],
    ['with 403', error('forbidden', { status: 403 }), 'permanent'],
    ['with 403 for a quota', error('Daily limit exceeded', { status: 403 }), 'quota'],
    ['with 404', error('not found', { response: { status: 404 } }), 'permanent'],
    ['with 408', error('request timeout', { status: 408 }), 'timeout'],
    ['with 409', error('conflict', { status: 409 }), 'transient'],
    ['with 429', error('slow down', { status: 429 }), 'rate-limit'],
    ['with 429 for a quota', error('You exceeded your current quota', { status: 429 }), 'quota'],
    ['with 500', error('oops', { status: 500 }), 'transient'],
    ['with 503', error('unavailable', { status: 503 }), 'transient'],
    ['with 504', error('gateway timeout', { status: 504 }), 'timeout'],
  ])('%s', (_, thrown, expected) => {
    expect(failureOf(thrown).failure.class).toBe(expected);
  });

  it('says why a fetch failed, and what failures like it have in common', () => {
    expect(failureOf(fetchFailed('ECONNREFUSED')).failure).toEqual({
      class: 'transient',
      message: 'fetch failed: connect ECONNREFUSED 127.0.0.1:1',
      cause: expect.stringContaining('fetch failed: connect ECONNREFUSED') as string,
      stderrTail: null,
    });
    expect(failureOf(error('')).failure.message).toBe('Error');
    expect(failureOf({ code: 7 }).failure.message).toBe('threw {"code":7}');
  });

  it('keeps what a handler knows: when to come again, the end of standard error', () => {
    const thrown = new JobError('rate-limit', 'later', { retryAfterMs: 5_000, stderrTail: 'tail' });
    expect(failureOf(thrown)).toMatchObject({ retryAfterMs: 5_000, failure: { stderrTail: 'tail' } });
  });

  it.each([
    ['a header of fetch', { headers: new Headers({ 'Retry-After': '30' }) }, 30_000],
    ['a plain header of a response', { response: { headers: { 'retry-after': '2' } } }, 2_000],
    ['a field', { retryAfterMs: 700 }, 700],
    ['nothing', {}, null],
    ['nonsense', { headers: { 'retry-after': 'soon' } }, null],
  ])('hears from %s when to come again', (_, more, expected) => {
    expect(failureOf(error('slow down', { status: 429, ...more })).retryAfterMs).toBe(expected);
  });

  it('bounds the message', () => {
    expect(failureOf(error('x'.repeat(100_000))).failure.message.length).toBeLessThan(2_100);
  });
});

/** What JSON.parse says of a broken payload. */
function brokenJson(): unknown {
  try {
    JSON.parse('{');
  } catch (thrown) {
    return thrown;
  }
  return null;
}
