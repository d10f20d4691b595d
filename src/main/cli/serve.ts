// `headway serve`: the whole application without Electron, in the browser.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';
import { createBackend } from '../backend.ts';
import { Dispatcher } from '../host/dispatcher.ts';
import { WebFace } from '../host/web-face.ts';
import { createLogger } from '../logger.ts';
import { dataDirectoryOf, settingsOrigin, type ConfigurationOptions } from './configuration.ts';

/** Taken when free; without --port a Headway that runs already does not stop a second one. */
const USUAL_PORT = 7433;

export interface ServeOptions extends ConfigurationOptions {
  port?: number;
  host: string;
  open: boolean;
}

export async function serve(options: ServeOptions): Promise<void> {
  const windowDirectory = join(import.meta.dirname, '..', '..', '..', 'out', 'renderer');
  if (!existsSync(join(windowDirectory, 'index.html')))
    throw new HeadwayError('not-found', 'The window is not built yet. Run `npm run build`, or `npm start`.');
  // From the beginning, so that a signal during the start ends in good order too.
  const stopped = stopSignal();
  const logger = createLogger();
  const dataDirectory = dataDirectoryOf(options);
  await using stack = new AsyncDisposableStack();
  const backend = await createBackend({ dataDirectory, settings: await settingsOrigin(options) });
  stack.defer(() => backend.stop());

  const dispatcher = new Dispatcher({ methods: backend.methods, streams: backend.streams, logger });
  const face = await listen(
    options,
    (port) =>
      new WebFace({ dispatcher, windowDirectory, dataDirectory, logger, address: options.host, port }),
  );
  stack.defer(() => face.stop());
  await backend.start();

  console.log(`Headway is at ${face.url}`);
  console.log('The token signs in one browser, once. Ctrl-C stops.');
  if (options.open) openBrowser(face.url);
  await stopped;
}

/** On the port asked for; without one on the usual port, or on a free one where that is taken. */
async function listen(options: ServeOptions, create: (port: number) => WebFace): Promise<WebFace> {
  const face = create(options.port ?? USUAL_PORT);
  try {
    await face.start();
    return face;
  } catch (error) {
    const taken = error instanceof HeadwayError && error.code === 'conflict';
    if (!taken || options.port !== undefined) throw error;
    const other = create(0);
    await other.start();
    return other;
  }
}

/** The first signal stops in good order, a second one at once. */
async function stopSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
}

/** Opens the system's browser where there is one; the URL is printed in any case. */
function openBrowser(url: string): void {
  if (process.platform === 'linux' && !process.env['DISPLAY'] && !process.env['WAYLAND_DISPLAY']) return;
  const opener = { darwin: ['open'], win32: ['cmd', '/c', 'start', ''] }[process.platform as string];
  const [command = 'xdg-open', ...args] = opener ?? [];
  const child = spawn(command, [...args, url], { stdio: 'ignore', detached: true });
  child.on('error', () => console.log('No browser could be opened; open the address above.'));
  child.unref();
}
