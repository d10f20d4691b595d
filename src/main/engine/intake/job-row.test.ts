import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import { eachJobOfRows, jobsOfRows, MOST_ROWS, rowsOfText } from './job-batch.ts';
import { jobOfRow, jsonOfRow } from './job-row.ts';
import { inSendersWords, PayloadLimits } from './row-refusal.ts';

const thrownBy = (act: () => unknown): HeadwayError => {
  try {
    act();
  } catch (error) {
    if (error instanceof HeadwayError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};
const rules = {
  defaults: { kind: 'mail', tenant: 'a' },
  idempotencyKey: null,
  limits: new PayloadLimits(new Map([['small', 0.001]])),
};

describe('a job as a row', () => {
  it('takes every field over, and the defaults where it says nothing', () => {
    const full = {
      kind: 'sync',
      tenant: 'b',
      payload: null,
      priority: -3,
      at: '2026-03-01T10:00:00+01:00',
      maxAttempts: 2,
      key: 'k',
      batch: 'n',
      dependsOn: [{ row: 1 }, { id: 7 }],
      onDeadParent: 'cancel',
    };
    expect(jobOfRow(full, { kind: 'mail', tenant: 'a', priority: 9 }, 2)).toEqual({
      kind: 'sync',
      tenantId: 'b',
      payload: null,
      priority: -3,
      readyAtMs: Date.UTC(2026, 2, 1, 9),
      maxAttempts: 2,
      idempotencyKey: 'k',
      batchId: 'n',
      dependsOn: [{ row: 0 }, { id: 7 }],
      onDeadParent: 'cancel',
    });
    expect(jobOfRow({ payload: 1 }, { kind: 'mail', tenant: 'a', priority: 9, atMs: 5 })).toEqual({
      kind: 'mail',
      tenantId: 'a',
      payload: 1,
      priority: 9,
      readyAtMs: 5,
    });
  });

  it.each([
    [{ kind: 'mail', payload: 1 }, 'tenant', 'tenant is missing'],
    [{ kind: 'mail', tenant: 'a' }, 'payload', 'payload is missing'],
    [{ tenant: 'a', payload: 1 }, 'kind', 'kind is missing'],
    [{ kind: 'Mail', tenant: 'a', payload: 1 }, 'kind', 'kind cannot be used: use small letters'],
    [{ kind: 'mail', tenant: 'a', payload: 1, tenat: 'b' }, 'tenat', 'tenat is not known here'],
    [{ kind: 'mail', tenant: 'a\0', payload: 1 }, 'tenant', 'tenant cannot be used'],
    [{ kind: 'mail', tenant: 'a', payload: 1, at: '2026-03-01' }, 'at', 'at cannot be used: use ISO 8601'],
    [{ kind: 'mail', tenant: 'a', payload: 1, priority: 1.5 }, 'priority', 'priority cannot be used'],
    [{ kind: 'mail', tenant: 'a', payload: 1, dependsOn: [{ row: 1 }] }, 'dependsOn', 'comes alone'],
    [{ kind: 'mail', tenant: 'a', payload: 1, dependsOn: [3] }, 'dependsOn.0', 'dependsOn.0 cannot be used'],
  ])('refuses %j by the name of its field', (row, field, words) => {
    const error = thrownBy(() => jobOfRow(row));
    expect(error).toMatchObject({ code: 'bad-request', details: { field } });
    expect(error.message).toContain(words);
  });

  it('says where JSON breaks off and quotes nothing of it', () => {
    const error = thrownBy(() => jsonOfRow('{"password": "hunter2", oops}', 3));
    expect(error.message).toMatch(/^row 3: it is no JSON: it breaks off at position 24/);
    expect(error.message).not.toContain('hunter2');
  });
});

describe('rows of a batch', () => {
  it('are counted from 1, without the empty lines', () => {
    const rows = rowsOfText('{"payload":1}\n\n  \n{"payload":2,"dependsOn":[{"row":1}]}\r\n');
    expect(jobsOfRows(rows, rules)).toMatchObject([{ payload: 1 }, { payload: 2, dependsOn: [{ row: 0 }] }]);
    const error = thrownBy(() =>
      jobsOfRows(['{"payload":1}', '{"payload":2,"dependsOn":[{"row":2}]}'], rules),
    );
    expect(error.message).toBe('row 2: dependsOn row 2 does not lie above it');
    expect(error.details).toEqual({ row: '2', field: 'dependsOn' });
  });

  it('get a key each from the key of the request, unless they have one', () => {
    const rows = ['{"payload":1}', '{"payload":2,"key":"own"}'];
    const jobs = jobsOfRows(rows, { ...rules, idempotencyKey: 'import' });
    expect(jobs.map(({ idempotencyKey }) => idempotencyKey)).toEqual(['import#1', 'own']);
  });

  it('answered one by one may not lean on one another', () => {
    const [first, second, third] = eachJobOfRows(
      ['{"payload":1}', 'no', '{"payload":3,"dependsOn":[{"row":1}]}'],
      rules,
      500,
    );
    expect(first).toMatchObject({ payload: 1 });
    expect(second).toMatchObject({ message: expect.stringMatching(/^row 502: it is no JSON/) as string });
    expect(third).toMatchObject({
      message: expect.stringMatching(/^row 503: dependsOn names a row/) as string,
    });
  });

  it('are bounded, and measured by what their kind allows', () => {
    expect(thrownBy(() => rowsOfText('{}\n'.repeat(MOST_ROWS + 1)))).toMatchObject({
      code: 'budget-exceeded',
    });
    expect(thrownBy(() => rowsOfText('\n \n'))).toMatchObject({ code: 'bad-request' });
    const large = JSON.stringify({ kind: 'small', payload: 'ü'.repeat(600) });
    expect(thrownBy(() => jobsOfRows(['{"payload":1}', large], rules))).toMatchObject({
      code: 'budget-exceeded',
      details: { row: '2', field: 'payload' },
    });
    expect(jobsOfRows([JSON.stringify({ kind: 'small', payload: 'ü'.repeat(500) })], rules)).toHaveLength(1);
  });
});

describe('a refusal of the engine in the words of the sender', () => {
  it('names rows as the sender counts them, and the field of an unknown kind', () => {
    const own = new HeadwayError('bad-request', 'Row 4: row 2, which it waits for, was refused.');
    expect(inSendersWords(own, (position) => position + 10)).toMatchObject({
      message: 'row 14: row 12, which it waits for, was refused.',
      details: { row: '14' },
    });
    const unknown = new HeadwayError('not-found', 'Row 0: there is no kind "x".');
    expect(inSendersWords(unknown, () => null)).toMatchObject({
      code: 'bad-request',
      message: 'there is no kind "x".',
      details: { field: 'kind' },
    });
  });

  it('leaves everything else as it is', () => {
    const down = new HeadwayError('unreachable', 'the database is away');
    expect(inSendersWords(down, () => 1)).toBe(down);
  });
});
