// A headless worker as a child process, with a folder of its own.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { headwayCommand } from '../harness/headway.ts';
import { type RunningProcess, startProcess } from '../harness/process.ts';

/** Kinds that need nothing but what every POSIX system has. */
export const kinds = {
  echo: { kind: 'echo', handler: { type: 'command', command: ['/bin/cat'] } },
  nap: { kind: 'nap', handler: { type: 'command', command: ['/bin/sleep', '60'] } },
  pulled: { kind: 'pulled', handler: { type: 'pull' } },
};

export interface WorkerFolder {
  path: string;
  /** `sqlite:` and its file. */
  store: string;
  /** Writes a jobs file and answers its path. */
  jobsFile(settings: unknown, name?: string): Promise<string>;
}

export function workerFolder(path: string): WorkerFolder {
  return {
    path,
    store: `sqlite:${join(path, 'jobs.db')}`,
    async jobsFile(settings, name = 'jobs.json') {
      const file = join(path, name);
      await writeFile(file, typeof settings === 'string' ? settings : JSON.stringify(settings, null, 2));
      return file;
    },
  };
}

/** Starts `headway worker` and waits until it works. Its data directory is in the folder. */
export async function startWorker(
  folder: WorkerFolder,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<RunningProcess> {
  const { command, args: all } = headwayCommand('worker', '--data', join(folder.path, 'data'), ...args);
  return await startProcess({
    command,
    args: all,
    env: { ...process.env, ...env },
    ready: ({ output }) => / works on /.test(output),
  });
}

/** The JSON of the lines that begin so. */
export const linesOf = (output: string, tag: '[TIMING]' | '[STATUS]'): Record<string, unknown>[] =>
  output
    .split('\n')
    .filter((line) => line.startsWith(`${tag} `) && line.endsWith('}'))
    .map((line) => JSON.parse(line.slice(tag.length)) as Record<string, unknown>);
