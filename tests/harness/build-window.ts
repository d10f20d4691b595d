// Builds the window alone, from the same configuration as the whole application.
import { build } from 'vite';
import config from '../../electron.vite.config.ts';

/** Leaves the built window in out/renderer. */
export async function buildWindow(): Promise<void> {
  await build({ ...config.renderer, configFile: false, base: './', logLevel: 'error' });
}

if (import.meta.main) await buildWindow();
