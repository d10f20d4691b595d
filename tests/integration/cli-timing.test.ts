// `headway timing` as an engineer runs it: files of any size, packed or not, standard input, and files that grow.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { headwayCommand } from '../harness/headway.ts';
import { tempDir, type TempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { headway } from './cli-fixture.ts';

const reportSchema = z.object({
  from: z.string().nullable(),
  to: z.string().nullable(),
  malformed: z.number(),
  all: z.object({
    count: z.number(),
    failed: z.number(),
    ratePerS: z.number().nullable(),
    stages: z.array(
      z.object({ stage: z.string(), count: z.number(), meanMs: z.number(), maxMs: z.number() }),
    ),
  }),
  groups: z.array(z.object({ group: z.string(), count: z.number() })),
});
const reportOf = async (...args: string[]) => {
  const { code, stdout, stderr } = await headway(['timing', '--json', ...args]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return reportSchema.parse(JSON.parse(stdout));
};

let dir: TempDir;
const at = (name: string): string => join(dir.path, name);
beforeAll(async () => {
  dir = await tempDir('timing');
});
afterAll(() => dir[Symbol.asyncDispose]());

/** Two lines in three time something; every tenth attempt fails; deliver takes i ms. */
function log(lines: number): string {
  const head = '2026-01-09 12:00:00 +0000 INFO    ';
  return Array.from({ length: lines }, (_, i) => {
    if (i % 3 === 0) return `${head}something else, päckchen ${i}\n`;
    const fields = {
      server_id: i % 7,
      start_time: new Date(Date.UTC(2026, 0, 9, 12) + i * 100),
      deliver_ms: i,
      total_ms: i + 1,
      status: i % 10 ? 'success' : 'error',
    };
    return `${head}[TIMING] ${JSON.stringify(fields)} [worker:1]\n`;
  }).join('');
}

describe('headway timing', () => {
  it('says the same of a file that several threads read in parts as of the same bytes in a pipe', async () => {
    // Over the size from which a file is cut into ranges.
    const text = log(250_000);
    expect(text.length).toBeGreaterThan(17 * 1_048_576);
    await writeFile(at('large.log'), text);
    await writeFile(at('large.log.gz'), gzipSync(text, { level: 1 }));
    const parted = await reportOf(at('large.log'));
    expect(parted).toEqual(await reportOf(at('large.log.gz')));
    expect(parted.all.count).toBe(166_666);
    expect(parted.all.failed).toBe(16_666);
    expect(parted.all.stages.find(({ stage }) => stage === 'deliver')).toMatchObject({
      count: 166_666,
      maxMs: 249_998,
    });
    expect(parted.groups.map(({ group }) => group).sort()).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    expect(parted.all.ratePerS).toBeCloseTo(6.67, 1);
  });

  it('takes several files and standard input, groups by any field, and counts what it cannot read', async () => {
    await writeFile(
      at('one.log'),
      '[TIMING] {"tenant":"a","domain":"x","total_ms":5}\n[TIMING] {"tenant":\n',
    );
    await writeFile(at('two.log'), '[TIMING] {"tenant":"b","domain":"x","total_ms":7}');
    const { stdout } = await headway(
      ['timing', '--json', '--by', 'domain', at('one.log'), at('two.log'), '-'],
      {
        stdin: '[TIMING] {"tenant":"c","domain":"y","total_ms":9}\n',
      },
    );
    const report = reportSchema.parse(JSON.parse(stdout));
    expect(report.groups).toEqual([
      expect.objectContaining({ group: 'x', count: 2 }),
      expect.objectContaining({ group: 'y', count: 1 }),
    ]);
    expect(report.malformed).toBe(1);
  });

  it('prints a table for people', async () => {
    const { code, stdout } = await headway(['timing'], { stdin: log(30) });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^GROUP {2}STAGE +COUNT +PER MIN +ERRORS +MEAN +P50/);
    expect(stdout).toMatch(/^all +deliver +20 /m);
    const nothing = await headway(['timing'], { stdin: 'no timing here\n' });
    expect(nothing.stdout).toBe('No [TIMING] line was found.\n');
  });

  it('names a file that is missing, a directory, a gzip file that is cut off', async () => {
    const missing = await headway(['timing', at('nowhere.log')]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain(`${at('nowhere.log')} cannot be read`);
    const folder = await headway(['timing', dir.path]);
    expect(folder.code).toBe(2);
    expect(folder.stderr).toContain('is a directory');
    await writeFile(at('cut.gz'), gzipSync(log(1_000)).subarray(0, 900));
    const cut = await headway(['timing', at('cut.gz')]);
    expect(cut.stderr).toContain('is no whole gzip file');
    const follow = await headway(['timing', '--follow']);
    expect(follow.code).toBe(2);
  });

  it('follows a file over appends and a rotation', async () => {
    const path = at('live.log');
    const line = (ms: number): string => `[TIMING] {"tenant":"a","total_ms":${ms}}\n`;
    await writeFile(path, line(1));
    const { command, args } = headwayCommand('timing', '--json', '--follow', path);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
      const seen = (count: number) => (): boolean => out.includes(`"count":${count},"failed"`);
      await until(seen(1), () => out);
      await appendFile(path, line(2) + line(3).slice(0, 12));
      await until(seen(2), () => out);
      await appendFile(path, line(3).slice(12));
      await until(seen(3), () => out);
      await rename(path, at('live.log.1'));
      await writeFile(path, line(4));
      await until(seen(4), () => out);
    } finally {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  });
});
