// A throwaway SSH server for tests: the real sshd with keys, port and folder of its own.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SSHD = '/usr/sbin/sshd';
const START_TIMEOUT_MS = 15_000;

export interface SshdOptions {
  /** Variables that every session sees, for example a PATH with a stand-in for `docker` in front. */
  environment?: Record<string, string>;
}

export interface Sshd extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Folder that lives as long as the server; tests may put their files here. */
  readonly folder: string;
  readonly privateKeyFile: string;
  /** The same rights, but the key is locked with `passphrase`. */
  readonly encryptedKeyFile: string;
  readonly passphrase: string;
  /** A key the server does not know. */
  readonly strangerKeyFile: string;
  /** Of the present host key, as OpenSSH prints it: `SHA256:…`. */
  readonly hostKeyFingerprint: string;
  /** The line a known_hosts file would hold for the present host key. */
  readonly knownHostsLine: string;
  /** Ends the server and cuts every open session, as a crash or a reboot would. */
  stop(): Promise<void>;
  /** Starts again on the same port with the same keys. */
  start(): Promise<void>;
  /** Gives the server a new host key; takes effect at the next start. */
  changeHostKey(): Promise<void>;
  /** Ids and command lines of all living processes that were started by a session of this server. */
  sessionProcesses(): Promise<{ pid: number; command: string }[]>;
}

/** Starts a server on a free port of 127.0.0.1. Root logs in as root, anyone else as themselves. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const server = new ThrowawaySshd(await mkdtemp(join(tmpdir(), 'headway-sshd-')), await freePort(), options);
  try {
    await server.prepare();
    await server.start();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

class ThrowawaySshd implements Sshd {
  readonly host = '127.0.0.1';
  readonly user = userInfo().username;
  readonly passphrase = 'correct horse';
  readonly folder: string;
  readonly port: number;
  readonly privateKeyFile: string;
  readonly encryptedKeyFile: string;
  readonly strangerKeyFile: string;
  #options: SshdOptions;
  #process: ChildProcess | null = null;
  #hostKey = '';

  constructor(folder: string, port: number, options: SshdOptions) {
    this.folder = folder;
    this.port = port;
    this.#options = options;
    this.privateKeyFile = join(folder, 'user_key');
    this.encryptedKeyFile = join(folder, 'user_key_encrypted');
    this.strangerKeyFile = join(folder, 'stranger_key');
  }

  get hostKeyFingerprint(): string {
    const blob = Buffer.from(this.#hostKey.split(' ')[1] ?? '', 'base64');
    return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
  }

  get knownHostsLine(): string {
    return `[${this.host}]:${this.port} ${this.#hostKey.split(' ').slice(0, 2).join(' ')}`;
  }

  async prepare(): Promise<void> {
    // sshd run by root insists on its privilege separation folder.
    if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true });
    await Promise.all([
      generateKey(this.privateKeyFile, ''),
      generateKey(this.encryptedKeyFile, this.passphrase),
      generateKey(this.strangerKeyFile, ''),
      this.changeHostKey(),
    ]);
    const keys = await Promise.all(
      [this.privateKeyFile, this.encryptedKeyFile].map((file) => readFile(`${file}.pub`, 'utf8')),
    );
    await writeFile(join(this.folder, 'authorized_keys'), keys.join(''), { mode: 0o600 });
    const environment = Object.entries(this.#options.environment ?? {});
    const config = [
      `ListenAddress ${this.host}`,
      `Port ${this.port}`,
      `HostKey ${join(this.folder, 'host_key')}`,
      `AuthorizedKeysFile ${join(this.folder, 'authorized_keys')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'UseDNS no',
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'MaxStartups 100',
      ...(environment.length > 0
        ? [`SetEnv ${environment.map(([name, value]) => `${name}="${value}"`).join(' ')}`]
        : []),
    ];
    await this.#writeConfig([...config, 'PerSourcePenalties no']);
    // Servers before OpenSSH 9.8 do not know penalties, and refuse the word.
    const known = await run(SSHD, ['-t', '-f', this.#configFile]).then(
      () => true,
      () => false,
    );
    if (!known) await this.#writeConfig(config);
  }

  async start(): Promise<void> {
    if (this.#process !== null) return;
    const child = spawn(SSHD, ['-D', '-e', '-f', this.#configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#process = child;
    let log = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`sshd did not start:\n${log}`)), START_TIMEOUT_MS);
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        if (log.length < 10_000) log += text;
        if (text.includes('Server listening')) {
          clearTimeout(timer);
          resolve();
        }
      });
      child.once('exit', () => {
        clearTimeout(timer);
        reject(new Error(`sshd ended at start:\n${log}`));
      });
    });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined) return;
    this.#process = null;
    const sessions = (await descendants(child.pid)).filter((process) => process.name.startsWith('sshd'));
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
    for (const pid of [child.pid, ...sessions.map((session) => session.pid)]) endProcess(pid);
    await ended;
  }

  async changeHostKey(): Promise<void> {
    const file = join(this.folder, 'host_key');
    await Promise.all([rm(file, { force: true }), rm(`${file}.pub`, { force: true })]);
    await generateKey(file, '');
    this.#hostKey = await readFile(`${file}.pub`, 'utf8');
  }

  async sessionProcesses(): Promise<{ pid: number; command: string }[]> {
    // Every command of a session inherits SSH_CONNECTION, which ends in the port of the server.
    const marker = new RegExp(`(^|\\0)SSH_CONNECTION=[^\\0]* ${this.port}\\0`);
    const found: { pid: number; command: string }[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
      if (!marker.test(environment)) continue;
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      found.push({ pid: Number(pid), command: command.replaceAll('\0', ' ').trim() });
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const leftovers = await this.sessionProcesses();
    await this.stop();
    for (const { pid } of leftovers) endProcess(pid);
    await rm(this.folder, { recursive: true, force: true });
  }

  get #configFile(): string {
    return join(this.folder, 'sshd_config');
  }

  async #writeConfig(lines: string[]): Promise<void> {
    await writeFile(this.#configFile, `${lines.join('\n')}\n`);
  }
}

async function generateKey(file: string, passphrase: string): Promise<void> {
  // Few rounds of key derivation: the tests unlock the key often.
  await run('ssh-keygen', [
    '-q',
    '-t',
    'ed25519',
    '-a',
    '4',
    '-N',
    passphrase,
    '-C',
    'headway-test',
    '-f',
    file,
  ]);
  await chmod(file, 0o600);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // listen(0) on TCP yields an address object, never a pipe's name.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function descendants(root: number): Promise<{ pid: number; name: string }[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,comm=']);
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent, name]) => ({ pid: Number(pid), parent: Number(parent), name: name ?? '' }));
  const found: { pid: number; name: string }[] = [];
  const parents = [root];
  for (let parent = parents.pop(); parent !== undefined; parent = parents.pop()) {
    for (const child of all.filter((process) => process.parent === parent)) {
      found.push(child);
      parents.push(child.pid);
    }
  }
  return found;
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}
