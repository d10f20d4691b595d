// A hot standby of a PostgreSQL of the harness.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { requireProgram, startProcess } from '../harness/process.ts';
import type { Postgres } from '../harness/postgres.ts';
import { freePort, tempDir } from '../harness/temp.ts';

const run = promisify(execFile);

export interface Standby extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  connect(): Promise<Client>;
}

/** Copies the primary and follows it as "standby one", with feedback of its snapshots; about two seconds. */
export async function startStandby(primary: Postgres): Promise<Standby> {
  await using cleanup = new AsyncDisposableStack();
  const dir = cleanup.use(await tempDir('standby'));
  const data = join(dir.path, 'data');
  const bin = await binaryPath(primary);
  const { host, port, user, password } = primary;
  const isRoot = process.getuid?.() === 0;
  await run(
    requireProgram('pg_basebackup', 'it is a part of PostgreSQL', bin),
    ['-h', host, '-p', String(port), '-U', user, '-D', data, '-c', 'fast', '--no-sync'],
    { env: { ...process.env, PGPASSWORD: password } },
  );
  await run('touch', [join(data, 'standby.signal')]);
  if (isRoot) await run('chown', ['-R', 'postgres:', dir.path]);
  const own = await freePort();
  const settings = {
    listen_addresses: host,
    unix_socket_directories: dir.path,
    primary_conninfo: `host=${host} port=${port} user=${user} password=${password} application_name='standby one'`,
    hot_standby_feedback: 'on',
    wal_receiver_status_interval: '1s',
    max_connections: '20',
    max_prepared_transactions: '5',
    fsync: 'off',
  };
  cleanup.use(
    await startProcess({
      command: requireProgram('postgres', 'install PostgreSQL', bin),
      args: ['-D', data, '-p', String(own)].concat(
        Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ),
      stopSignal: 'SIGINT',
      deathSignal: 'SIGQUIT',
      ready: ({ output }) => output.includes('ready to accept read-only connections'),
      ...(isRoot ? { asUser: 'postgres' } : {}),
    }),
  );
  const owned = cleanup.move();
  return {
    host,
    port: own,
    async connect() {
      const client = new Client({ host, port: own, user, password, database: 'postgres' });
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Where the primary's own programs are: another version cannot follow it. */
async function binaryPath(primary: Postgres): Promise<string> {
  const client = await primary.connect();
  try {
    const { rows } = await client.query<{ setting: string }>(
      "SELECT setting FROM pg_config WHERE name = 'BINDIR'",
    );
    return rows[0]?.setting ?? '';
  } finally {
    await client.end();
  }
}
