import { expect, it } from 'vitest';
import { queueJob } from '../state/test-queue.ts';
import { asCsv, asJson, copiedJob } from './copied-rows.ts';

it('writes rows as CSV that a spreadsheet reads back and does not calculate', () => {
  expect(
    asCsv([
      { id: 'a,b', error: 'said "no"\nand left', count: -3, stale: true, owner: null },
      { id: 'plain', error: '=1+2', count: 0, stale: false, owner: '@me' },
    ]),
  ).toBe(
    'id,error,count,stale,owner\r\n"a,b","said ""no""\nand left",-3,true,\r\nplain,\'=1+2,0,false,\'@me\r\n',
  );
});

it('writes a job with its times in UTC and nothing where nothing is known', () => {
  const row = copiedJob(queueJob('7', { kind: null, readyAtMs: 1_700_000_000_000 }));
  expect(row).toMatchObject({ id: '7', kind: null, ready_at: '2023-11-14T22:13:20.000Z', started_at: null });
  expect(JSON.parse(asJson([row]))).toEqual([row]);
});
