// Headway itself as a child process: `headway serve` on a free port with a data directory of its own.
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { startProcess } from './process.ts';
import { freePort, tempDir } from './temp.ts';

export interface RunningHeadway extends AsyncDisposable {
  /** With its one-time token: open it once. */
  readonly url: string;
  readonly origin: string;
  readonly dataDirectory: string;
  readonly output: () => string;
  stop(): Promise<void>;
}

export interface HeadwayOptions {
  /** Written to settings.json before the start; left out: the defaults. */
  settings?: unknown;
  env?: NodeJS.ProcessEnv;
}

/** The command and arguments that run the `headway` command from source. */
export function headwayCommand(...args: string[]): { command: string; args: string[] } {
  const main = join(import.meta.dirname, '..', '..', 'src', 'main', 'cli', 'main.ts');
  return { command: process.execPath, args: ['--disable-warning=ExperimentalWarning', main, ...args] };
}

/** Starts Headway and waits until it serves. The window must have been built. */
export async function startHeadway(options: HeadwayOptions = {}): Promise<RunningHeadway> {
  await using cleanup = new AsyncDisposableStack();
  const dir = cleanup.use(await tempDir('headway'));
  const port = await freePort();
  if (options.settings !== undefined)
    await writeFile(join(dir.path, 'settings.json'), JSON.stringify(options.settings, null, 2));
  const server = cleanup.use(
    await startProcess({
      ...headwayCommand('serve', '--data', dir.path, '--port', String(port)),
      env: { ...process.env, ...options.env },
      ready: ({ output }) => output.includes('Headway is at '),
    }),
  );
  const url = /Headway is at (\S+)/.exec(server.output())?.[1];
  if (url === undefined) throw new Error(`Headway printed no address:\n${server.output()}`);
  const owned = cleanup.move();
  return {
    url,
    origin: new URL(url).origin,
    dataDirectory: dir.path,
    output: server.output,
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
