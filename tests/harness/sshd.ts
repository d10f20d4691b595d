// A throwaway SSH server for tests: the real sshd with keys, port and folder of its own.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { listensOn, requireProgram, startProcess, type RunningProcess } from './process.ts';
import { freePort, tempDir, type TempDir } from './temp.ts';

const run = promisify(execFile);

export interface SshdOptions {
  /** Variables that every session sees, for example a PATH with a stand-in for `docker` in front. */
  environment?: Record<string, string>;
  /** More lines of its configuration, for example `AllowTcpForwarding no`. */
  config?: string[];
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
  const program = requireProgram('sshd', 'install openssh-server');
  const server = new ThrowawaySshd(program, await tempDir('sshd'), await freePort());
  try {
    await server.prepare(options);
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
  #program: string;
  #temp: TempDir;
  #process: RunningProcess | null = null;
  #hostKey = '';

  constructor(program: string, temp: TempDir, port: number) {
    this.#program = program;
    this.#temp = temp;
    this.port = port;
    this.folder = temp.path;
    this.privateKeyFile = join(temp.path, 'user_key');
    this.encryptedKeyFile = join(temp.path, 'user_key_encrypted');
    this.strangerKeyFile = join(temp.path, 'stranger_key');
  }

  get hostKeyFingerprint(): string {
    const blob = Buffer.from(this.#hostKey.split(' ')[1] ?? '', 'base64');
    return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
  }

  get knownHostsLine(): string {
    return `[${this.host}]:${this.port} ${this.#hostKey.split(' ').slice(0, 2).join(' ')}`;
  }

  async prepare(options: SshdOptions): Promise<void> {
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
    const environment = Object.entries(options.environment ?? {});
    const config = [
      ...(options.config ?? []),
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
    const known = await run(this.#program, ['-t', '-f', this.#configFile]).then(
      () => true,
      () => false,
    );
    if (!known) await this.#writeConfig(config);
  }

  async start(): Promise<void> {
    this.#process ??= await startProcess({
      command: this.#program,
      args: ['-D', '-e', '-f', this.#configFile],
      ready: listensOn(this.port, this.host),
    });
  }

  async stop(): Promise<void> {
    const server = this.#process;
    if (server === null) return;
    this.#process = null;
    const sessions = (await descendants(server.pid)).filter((child) => child.name.startsWith('sshd'));
    await server.kill();
    for (const { pid } of sessions) endProcess(pid);
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
    await this.#temp[Symbol.asyncDispose]();
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
