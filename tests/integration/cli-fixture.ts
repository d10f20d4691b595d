// What the tests of the command share: running it from source, to its end or until it serves.
import { spawn } from 'node:child_process';
import { expect } from 'vitest';
import { headwayCommand } from '../harness/headway.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import type { Reader } from '../harness/postal-schema.ts';

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** No output of any command may hold one of these. */
export const secrets = {
  right: 'sesam-öffne-dich',
  wrong: 'so-falsch-wie-es-geht',
  inUrl: 'im-url-versteckt',
};

export function expectNoSecret(...texts: string[]): void {
  for (const text of texts) for (const secret of Object.values(secrets)) expect(text).not.toContain(secret);
}

/** Runs `headway` with these arguments to its end. */
export async function headway(
  args: string[],
  { stdin = '', env = {} }: { stdin?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  const { command, args: all } = headwayCommand(...args);
  const child = spawn(command, all, { env: { ...process.env, ...env }, stdio: 'pipe' });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  // A command that fails before it reads closes the pipe: its exit code tells.
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  expectNoSecret(stdout, stderr);
  return { code, stdout, stderr };
}

/** A connection of the settings file to a throwaway Postal. */
export function connectionTo(db: MariaDb, reader: Reader, changes: Record<string, unknown> = {}) {
  const { database = {}, ...others } = changes as { database?: object };
  return {
    id: 'mail',
    name: 'Mail',
    kind: 'postal',
    ...others,
    database: {
      host: db.host,
      port: db.port,
      user: reader.user,
      database: 'postal',
      password: { env: 'HEADWAY_TEST_PASSWORD' },
      ...database,
    },
  };
}
