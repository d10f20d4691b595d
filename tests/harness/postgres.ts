// A throwaway PostgreSQL on 127.0.0.1 that can be stopped, killed and restarted in place.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { requireProgram, startProcess } from './process.ts';
import type { RunningProcess } from './process.ts';
import { freePort, tempDir } from './temp.ts';
import { templateDir } from './template-dir.ts';

const run = promisify(execFile);
const HINT = 'install PostgreSQL (Debian: apt install postgresql; macOS: brew install postgresql)';
const PASSWORD = 'postgres-of-a-test';
/** PostgreSQL refuses to run as root; its packages bring this user. */
const SERVER_USER = 'postgres';

export interface PostgresOptions {
  /** Shared buffers in MiB (default 64). */
  sharedBuffersMb?: number;
  /** Settings by name, such as `{ max_connections: '5' }`. */
  settings?: Record<string, string>;
}

export interface Postgres extends AsyncDisposable {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly user: 'postgres';
  readonly password: string;
  /** The process id; null while stopped. */
  readonly pid: () => number | null;
  /** A connection as superuser. The caller ends it. */
  connect(database?: string): Promise<Client>;
  /** Ends the server in good order; its port and data stay reserved for `start`. */
  stop(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
  /** An immediate shutdown: connections break, nothing is written, the next start recovers, as after a crash. */
  kill(): Promise<void>;
}

/** Starts a PostgreSQL of its own with an empty cluster; about a second. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  await using cleanup = new AsyncDisposableStack();
  const bin = binaries();
  const command = requireProgram('postgres', HINT, ...bin);
  const dir = cleanup.use(await tempDir('postgres'));
  const dataDir = join(dir.path, 'data');
  // Unlike fs.cp, this keeps the owner, which must be the server's user.
  await run('cp', ['-a', await dataTemplate(command, bin), dataDir]);
  await giveToServer(dir.path);
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: dir.path,
    shared_buffers: `${options.sharedBuffersMb ?? 64}MB`,
    // Data need to survive a crash of the server only, not of the machine.
    fsync: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...options.settings,
  };
  const args = ['-D', dataDir, '-p', String(port)].concat(
    Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  );
  const boot = () =>
    startProcess({
      command,
      args,
      stopSignal: 'SIGINT',
      deathSignal: 'SIGQUIT',
      ready: ({ output }) => output.includes('database system is ready to accept connections'),
      ...(isRoot() ? { asUser: SERVER_USER } : {}),
    });
  let server: RunningProcess | null = cleanup.use(await boot());

  const owned = cleanup.move();
  return {
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: PASSWORD,
    pid: () => server?.pid ?? null,
    async connect(database = 'postgres') {
      const client = new Client({ host: '127.0.0.1', port, user: 'postgres', password: PASSWORD, database });
      // A server that is stopped or killed ends its connections; the next query tells the test.
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    async stop() {
      await server?.stop();
      server = null;
    },
    async kill() {
      await server?.kill('SIGQUIT');
      server = null;
    },
    async start() {
      server ??= owned.use(await boot());
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** A cluster made once per PostgreSQL version on this machine. */
async function dataTemplate(postgres: string, bin: string[]): Promise<string> {
  const initdb = requireProgram('initdb', HINT, ...bin);
  const { stdout: version } = await run(postgres, ['--version']);
  const key = createHash('sha256')
    .update(`1 ${version} ${process.getuid?.() ?? ''}`)
    .digest('hex')
    .slice(0, 12);
  return templateDir(`headway-postgres-template-${key}`, async (path) => {
    const cluster = join(path, 'cluster');
    const passwordFile = join(path, 'password');
    await mkdir(cluster);
    await writeFile(passwordFile, PASSWORD);
    await giveToServer(path);
    await runAsServer(initdb, [
      ...['-D', cluster, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`],
      ...['-E', 'UTF8', '--locale=C', '--no-sync'],
    ]);
    await rm(passwordFile);
  }).then((path) => join(path, 'cluster'));
}

async function runAsServer(command: string, args: string[]): Promise<void> {
  const identity = ['--reuid', SERVER_USER, '--regid', SERVER_USER, '--init-groups'];
  await (isRoot() ? run('setpriv', [...identity, command, ...args]) : run(command, args));
}

async function giveToServer(path: string): Promise<void> {
  if (isRoot()) await run('chown', ['-R', `${SERVER_USER}:`, path]);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** Debian keeps PostgreSQL's programs apart by version; the newest comes first. */
function binaries(): string[] {
  const root = '/usr/lib/postgresql';
  try {
    const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a));
    return versions.map((version) => join(root, version, 'bin'));
  } catch {
    return [];
  }
}
