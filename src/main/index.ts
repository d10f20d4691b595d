// The entry of the desktop application: built files and real services for electron/desktop.ts.
import { join } from 'node:path';
import { createBackend } from './backend.ts';
import { runDesktop } from './electron/desktop.ts';
import { createLogger } from './logger.ts';

// Built, this file is out/main/index.js.
const root = join(import.meta.dirname, '..', '..');

void runDesktop({
  createBackend,
  // Loaded only where updates are configured: it starts work of its own.
  loadUpdater: async () => (await import('electron-updater')).default.autoUpdater,
  logger: createLogger(),
  files: {
    window: join(root, 'out', 'renderer'),
    preload: join(root, 'out', 'preload', 'index.cjs'),
    resources: join(root, 'resources'),
  },
  devServerUrl: process.env['ELECTRON_RENDERER_URL'],
});
