// `headway enqueue` as a script runs it.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobRecord } from '../../src/main/engine/job.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import { type TempDir, tempDir } from '../harness/temp.ts';
import { headway } from './cli-fixture.ts';
import { kinds, startWorker, type WorkerFolder, workerFolder } from './cli-worker-fixture.ts';

let dir: TempDir;
let folder: WorkerFolder;
beforeEach(async () => {
  dir = await tempDir('enqueue');
  folder = workerFolder(dir.path);
});
afterEach(() => dir[Symbol.asyncDispose]());

const enqueue = async (args: string[], stdin = '') => {
  const finished = await headway(['enqueue', '--store', folder.store, ...args], { stdin });
  expect(finished.stderr).not.toMatch(/Internal error|\n\s+at /);
  return finished;
};
const linesOf = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);

/** The jobs that are stored, with their payloads. */
async function stored(): Promise<(Partial<JobRecord> & { payload: unknown })[]> {
  await using store = SqliteStore.open({ file: join(folder.path, 'jobs.db') });
  const jobs = [];
  for (let id = 1; ; id++) {
    const job = await store.job(id);
    if (!job) return jobs;
    jobs.push({ ...job, payload: JSON.parse((await store.payload(id, 1_000_000)) ?? 'null') as unknown });
  }
}

describe('headway enqueue', () => {
  it('stores one job with all that its options say', async () => {
    const at = '2199-01-01T00:00:00+01:00';
    const args = ['--kind', 'mail', '--tenant', 'a', '--payload', '{"to":"ü"}', '--priority', '-5'];
    const { code, stdout } = await enqueue([...args, '--at', at, '--key', 'k', '--batch', 'b']);
    expect([code, linesOf(stdout)]).toEqual([0, [{ id: 1, fresh: true }]]);
    expect(linesOf((await enqueue([...args, '--key', 'k'])).stdout)).toEqual([{ id: 1, fresh: false }]);
    expect(await stored()).toMatchObject([
      {
        kind: 'mail',
        tenantId: 'a',
        priority: -5,
        batchId: 'b',
        state: 'delayed',
        readyAtMs: Date.parse(at),
        payload: { to: 'ü' },
      },
    ]);
  });

  it('stores rows all together, and says where each went', async () => {
    const rows = [
      { payload: 1 },
      { kind: 'sync', tenant: 'b', payload: 2, priority: 3 },
      { payload: 3, dependsOn: [{ row: 1 }, { row: 2 }], onDeadParent: 'cancel' },
    ];
    const stdin = rows.map((row) => JSON.stringify(row)).join('\n');
    const { code, stdout } = await enqueue(['--kind', 'mail', '--tenant', 'a', '--key', 'in'], stdin);
    expect([code, linesOf(stdout)]).toEqual([0, [1, 2, 3].map((id) => ({ row: id, id, fresh: true }))]);
    expect(await stored()).toMatchObject([
      { kind: 'mail', tenantId: 'a', state: 'ready', payload: 1 },
      { kind: 'sync', tenantId: 'b', priority: 3, payload: 2 },
      { state: 'waiting', waitsFor: [1, 2] },
    ]);
    const again = await enqueue(['--kind', 'mail', '--tenant', 'a', '--key', 'in'], stdin);
    expect(linesOf(again.stdout)).toEqual([1, 2, 3].map((id) => ({ row: id, id, fresh: false })));
  });

  it('stores nothing when one row is bad, and names it', async () => {
    const jobs = await folder.jobsFile({ kinds: [kinds.echo] });
    for (const [bad, words] of [
      ['{"payload"', /row 2: it is no JSON/],
      ['{"payload":1,"tenent":"b"}', /row 2: tenent is not known here/],
      ['{"payload":1,"kind":"nope"}', /row 2: there is no kind "nope"/],
      ['{"payload":1,"dependsOn":[{"row":3}]}', /row 2: dependsOn row 3 does not lie above it/],
    ] as const) {
      const { code, stdout, stderr } = await enqueue(
        ['--kind', 'echo', '--tenant', 'a', '--jobs', jobs],
        `{"payload":0}\n${bad}\n{"payload":2}\n`,
      );
      expect(stderr).toMatch(words);
      expect([code, stdout]).toEqual([2, '']);
    }
    expect(await stored()).toEqual([]);
  });

  it('answers every row on its own with --each, and ends with 1 when one was refused', async () => {
    const jobs = await folder.jobsFile({ kinds: [kinds.echo] });
    const rows = Array.from({ length: 1_203 }, (_, i) =>
      i % 400 === 1 ? 'no' : JSON.stringify({ payload: i }),
    );
    const { code, stdout } = await enqueue(
      ['--each', '--kind', 'echo', '--tenant', 'a', '--jobs', jobs],
      rows.join('\n'),
    );
    expect(code).toBe(1);
    const answers = linesOf(stdout) as { row: number; id?: number; error?: { message: string } }[];
    expect(answers.map(({ row }) => row)).toEqual(rows.map((_, i) => i + 1));
    const refused = answers.filter(({ error }) => error !== undefined);
    expect(refused.map(({ row, error }) => [row, error?.message.slice(0, 20)])).toEqual([
      [2, 'row 2: it is no JSON'],
      [402, 'row 402: it is no JS'],
      [802, 'row 802: it is no JS'],
      [1202, 'row 1202: it is no J'],
    ]);
    expect(new Set(answers.flatMap(({ id }) => id ?? [])).size).toBe(1_203 - refused.length);
  });

  it.each<[string, string[], string, RegExp]>([
    ['no rows', ['--kind', 'mail', '--tenant', 'a'], '\n\n', /there are no rows on standard input/],
    [
      'a payload that is no JSON',
      ['--kind', 'mail', '--tenant', 'a', '--payload', '{x'],
      '',
      /--payload is no JSON/,
    ],
    ['no kind', ['--tenant', 'a', '--payload', '1'], '', /kind is missing/],
    ['no tenant', ['--kind', 'mail', '--payload', '1'], '', /tenant is missing/],
    [
      'a time without its offset',
      ['--kind', 'mail', '--tenant', 'a', '--payload', '1', '--at', '2026-03-01'],
      '',
      /ISO 8601/,
    ],
    [
      '--each and --payload',
      ['--kind', 'mail', '--tenant', 'a', '--payload', '1', '--each'],
      '',
      /leave --payload out/,
    ],
    [
      'too many rows',
      ['--kind', 'mail', '--tenant', 'a'],
      '{"payload":1}\n'.repeat(50_001),
      /more than 50000 rows/,
    ],
  ])('refuses %s with 2', async (_, args, stdin, words) => {
    const { code, stdout, stderr } = await enqueue(args, stdin);
    expect(stderr).toMatch(words);
    expect([code, stdout]).toEqual([2, '']);
  });

  it('says how else to reach a SQLite store that an engine works on', async () => {
    const jobs = await folder.jobsFile({ kinds: [kinds.echo] });
    await using _ = await startWorker(folder, ['--store', folder.store, '--jobs', jobs]);
    const { code, stderr } = await enqueue(['--kind', 'echo', '--tenant', 'a', '--payload', '1']);
    expect(stderr).toMatch(/Another engine works on .* HTTP intake .*POST \/jobs/);
    expect(code).toBe(3);
  });

  it('leaves a database of somebody else alone', async () => {
    const other = new DatabaseSync(join(folder.path, 'jobs.db'));
    other.exec('CREATE TABLE customer (id INTEGER)');
    other.close();
    const { code, stderr } = await enqueue(['--kind', 'echo', '--tenant', 'a', '--payload', '1']);
    expect(stderr).toContain('is not a job store of Headway');
    expect(code).toBe(3);
  });
});
