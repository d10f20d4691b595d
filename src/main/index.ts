// The entry of the desktop application: built files and real services for electron/desktop.ts.
import { join } from 'node:path';
import { pino } from 'pino';
import { createBackend } from './backend.ts';
import { runDesktop } from './electron/desktop.ts';

const logger = pino({ name: 'headway' }, pino.destination(2));
// Built, this file is out/main/index.js; resources are copied beside `out` (electron-builder.yml).
const root = join(import.meta.dirname, '..', '..');

runDesktop({
  createBackend,
  loadUpdater: async () => (await import('electron-updater')).default.autoUpdater,
  logger,
  files: {
    window: join(root, 'out', 'renderer'),
    preload: join(root, 'out', 'preload', 'index.cjs'),
    resources: join(root, 'resources'),
  },
  devServerUrl: process.env['ELECTRON_RENDERER_URL'],
}).catch((error: unknown) => {
  logger.fatal({ err: error }, 'Headway could not start');
  process.exitCode = 1;
});
