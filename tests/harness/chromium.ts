// Where a Chromium is, and how to start it so that it disturbs nobody and calls nobody.
import { findProgram, requireProgram } from './process.ts';

/** Options for Playwright's `chromium.launch`. Throws when no Chromium or Chrome is installed. */
export function chromiumLaunch(): { executablePath: string; args: string[] } {
  const executablePath =
    process.env['CHROMIUM_PATH'] ??
    ['chromium', 'chromium-browser', 'google-chrome']
      .map((name) => findProgram(name))
      .find((path) => path !== null) ??
    requireProgram('chromium', 'install Chromium, or name it in CHROMIUM_PATH');
  return { executablePath, args: [...CHROMIUM_ARGS, ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])] };
}

const CHROMIUM_ARGS = ['--disable-gpu', '--disable-background-networking', '--no-first-run'];
