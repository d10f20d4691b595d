// What `npm start` and `npm test` do before anything else, on a machine with only Node 20+ and npm: install the
// npm packages, bring the Node version the code is written for, and (tests, on Debian as root) the servers.
// Plain JavaScript without packages: it runs before there are any.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';

export const root = dirname(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname));
const at = (...parts) => join(root, ...parts);
const windows = process.platform === 'win32';
const say = (text) => console.log(`headway: ${text}`);

/** Ends the process with a cause and the next step. */
export function giveUp(text) {
  console.error(`headway: ${text}`);
  process.exit(1);
}

/** Runs a command to its end; its output is shown only when it fails. */
function quietly(command, args, what) {
  const run = spawnSync(command, args, { cwd: root, encoding: 'utf8', shell: windows, maxBuffer: 1 << 28 });
  if (run.status === 0) return;
  const output = `${run.stdout ?? ''}${run.stderr ?? ''}${run.error ? String(run.error) : ''}`;
  const lines = output.split('\n').filter((line) => line.trim() !== '' && !line.includes('EBADENGINE'));
  // A tool names the cause first and what it did about it last.
  const shown = lines.length <= 60 ? lines : [...lines.slice(0, 30), '...', ...lines.slice(-30)];
  giveUp(`${what} failed.\n${shown.join('\n')}`);
}

/** The Node binary that the code runs on: the packaged Node 24, or this one when it is new enough. */
export function nodeBinary() {
  const packaged = at('node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
  if (existsSync(packaged)) return packaged;
  return Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : null;
}

/** The environment in which `node` is that binary and the project's own tools are found. */
export function environment() {
  const path = [dirname(nodeBinary() ?? process.execPath), at('node_modules', '.bin'), process.env.PATH];
  return { ...process.env, PATH: path.join(delimiter) };
}

/** Installs the npm packages when they are missing or older than package-lock.json. */
export function ensurePackages() {
  const stamp = at('node_modules', '.headway-lock');
  const lock = createHash('sha256')
    .update(readFileSync(at('package-lock.json')))
    .digest('hex');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
    say('installing the npm packages (once; about a minute) ...');
    quietly('npm', ['ci', '--no-audit', '--no-fund'], 'npm ci');
  }
  if (nodeBinary() === null) {
    say('bringing Node 24 as an npm package (once) ...');
    // Install scripts are off (.npmrc); this one package needs its own, it fetches the binary for this platform.
    quietly('npm', ['rebuild', 'node', '--ignore-scripts=false'], 'Fetching Node 24');
    if (nodeBinary() === null)
      giveUp('Node 24 could not be brought as an npm package; install Node 24 and try again.');
  }
  writeFileSync(stamp, lock);
}

function newestChange(path) {
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newestChange(join(path, name))));
}

/** Builds the window and the desktop entry when their sources are newer than the last build. */
export function ensureBuild() {
  const stamp = at('out', '.built');
  const sources = ['src', 'electron.vite.config.ts', 'package-lock.json'].map((name) =>
    newestChange(at(name)),
  );
  if (existsSync(stamp) && statSync(stamp).mtimeMs > Math.max(...sources)) return;
  say('building the window ...');
  const run = spawnSync(nodeBinary(), [at('node_modules/electron-vite/bin/electron-vite.js'), 'build'], {
    cwd: root,
    env: environment(),
    encoding: 'utf8',
  });
  if (run.status !== 0) giveUp(`The build failed.\n${run.stdout}${run.stderr}`);
  writeFileSync(stamp, '');
}

const servers = [
  { package: 'mariadb-server', file: '/usr/sbin/mariadbd' },
  { package: 'postgresql', file: '/usr/lib/postgresql' },
  { package: 'openssh-server', file: '/usr/sbin/sshd' },
  { package: 'chromium', file: '/usr/bin/chromium' },
];

/** Installs the servers that the tests start by themselves. Tests use private instances, never the system's. */
export function ensureTestServers() {
  const missing = servers.filter((server) => !existsSync(server.file)).map((server) => server.package);
  if (missing.length === 0) return;
  const install = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0)
    giveUp(`The tests need ${missing.join(', ')}. Install them, on Debian as root: ${install}`);
  say(`installing the test servers by apt: ${missing.join(', ')} ...`);
  process.env.DEBIAN_FRONTEND = 'noninteractive';
  quietly('sh', ['-c', install], 'apt-get');
}

/** Runs a command in the project's environment with our input and output; resolves to its exit code. */
export function run(command, args) {
  const child = spawn(command, args, { cwd: root, env: environment(), stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1))));
}
