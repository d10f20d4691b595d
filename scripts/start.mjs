// `npm start`: sets up what is missing, then opens the desktop window, or serves the same window to the browser
// where the Electron binary cannot be had. `npm start -- --web` goes straight to the browser.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { ensureBuild, ensurePackages, environment, nodeBinary, root, run } from './setup.mjs';

const FETCH_TIMEOUT_MS = 180_000;

/** Why Electron cannot be opened here; null when it can. Fetches the binary once when it is missing. */
function whyNoElectron() {
  if (process.argv.includes('--web')) return '--web was given';
  if (process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY)
    return 'there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)';
  if (existsSync(join(root, 'node_modules', 'electron', 'dist', 'version'))) return null;
  console.log('headway: fetching the Electron binary (once; `npm start -- --web` does without) ...');
  const fetched = spawnSync(nodeBinary(), [join(root, 'node_modules', 'electron', 'install.js')], {
    env: environment(),
    encoding: 'utf8',
    timeout: FETCH_TIMEOUT_MS,
  });
  if (fetched.status === 0) return null;
  const said = fetched.stderr ?? '';
  const network = /(?:getaddrinfo|connect) E[A-Z_]+[^\n]*/.exec(said)?.[0];
  const cause = network ?? /^.*Error:?.*$/m.exec(said)?.[0]?.trim() ?? 'the download did not end in time';
  return `the Electron binary could not be fetched (${cause})`;
}

ensurePackages();
ensureBuild();
const why = whyNoElectron();
if (why === null) {
  process.exitCode = await run(join(root, 'node_modules', '.bin', 'electron'), ['.']);
} else {
  console.log(`headway: no desktop window: ${why}. Serving the same window to the browser instead.`);
  const rest = process.argv.slice(2).filter((argument) => argument !== '--web');
  process.exitCode = await run(nodeBinary(), [
    '--disable-warning=ExperimentalWarning',
    join(root, 'src', 'main', 'cli', 'main.ts'),
    'serve',
    '--open',
    ...rest,
  ]);
}
