// A throwaway MariaDB on 127.0.0.1 that can be stopped, killed and restarted in place.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import mysql from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';
import { requireProgram, startProcess } from './process.ts';
import type { RunningProcess } from './process.ts';
import { freePort, tempDir } from './temp.ts';
import { templateDir } from './template-dir.ts';
import { selfSignedTls } from './tls.ts';
import type { TlsFiles } from './tls.ts';

const run = promisify(execFile);
const HINT = 'install MariaDB (Debian: apt install mariadb-server; macOS: brew install mariadb)';

export interface MariaDbOptions {
  /** Buffer pool in MiB (default 64). */
  bufferPoolMb?: number;
  /** 0, 1 or 2 (default 2: fast, and data survives a crash of the server, not of the machine). */
  flushLogAtCommit?: 0 | 1 | 2;
  /** Serve TLS with a certificate of its own authority, valid for 127.0.0.1 and localhost. */
  tls?: boolean;
  /** Further options of mariadbd, such as `--max-connections=5`. */
  args?: string[];
}

export interface MariaDb extends AsyncDisposable {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly socket: string;
  readonly rootUser: 'root';
  readonly rootPassword: string;
  /** Certificate files when started with `tls`. */
  readonly tls: TlsFiles | null;
  /** The process id; null while stopped. */
  readonly pid: () => number | null;
  /** A connection as root, times in UTC, `multipleStatements` on. The caller ends it. */
  connect(database?: string): Promise<Connection>;
  /** Ends the server in good order; its port and data stay reserved for `start`. */
  stop(): Promise<void>;
  /** Starts it again on the same port and data. */
  start(): Promise<void>;
  /** SIGKILL, as a crash does it. */
  kill(): Promise<void>;
}

/** Starts a MariaDB of its own with an empty data directory; about a second. */
export async function startMariaDb(options: MariaDbOptions = {}): Promise<MariaDb> {
  await using cleanup = new AsyncDisposableStack();
  const mariadbd = requireProgram('mariadbd', HINT);
  const dir = cleanup.use(await tempDir('mariadb'));
  const dataDir = join(dir.path, 'data');
  await cp(await dataTemplate(mariadbd), dataDir, { recursive: true, mode: constants.COPYFILE_FICLONE });
  const rootPassword = 'root-of-a-test';
  const firstStart = join(dir.path, 'first-start.sql');
  await writeFile(firstStart, rootAccounts(rootPassword));
  const tls = options.tls === true ? await selfSignedTls(join(dir.path, 'tls')) : null;
  const port = await freePort();
  const socket = join(dir.path, 'socket');

  const boot = (extra: string[]): Promise<RunningProcess> =>
    startProcess({
      command: mariadbd,
      args: [
        ...serverArgs(options, tls),
        `--datadir=${dataDir}`,
        // Its own: a server that starts deletes every temporary table it finds there, those of its neighbours too.
        `--tmpdir=${dir.path}`,
        `--socket=${socket}`,
        `--port=${port}`,
        ...extra,
      ],
      ready: ({ output }) => output.includes('ready for connections'),
    });
  let server: RunningProcess | null = cleanup.use(await boot([`--init-file=${firstStart}`]));

  const owned = cleanup.move();
  return {
    host: '127.0.0.1',
    port,
    socket,
    rootUser: 'root',
    rootPassword,
    tls,
    pid: () => server?.pid ?? null,
    connect: (database) =>
      mysql.createConnection({
        host: '127.0.0.1',
        port,
        user: 'root',
        password: rootPassword,
        timezone: 'Z',
        multipleStatements: true,
        ...(database === undefined ? {} : { database }),
      }),
    async stop() {
      await server?.stop();
      server = null;
    },
    async kill() {
      await server?.kill();
      server = null;
    },
    async start() {
      server ??= owned.use(await boot([]));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function serverArgs(options: MariaDbOptions, tls: TlsFiles | null): string[] {
  return [
    '--no-defaults',
    ...asRoot(),
    '--bind-address=127.0.0.1',
    '--skip-name-resolve',
    '--default-time-zone=+00:00',
    '--character-set-server=utf8mb4',
    '--skip-log-bin',
    `--innodb-buffer-pool-size=${options.bufferPoolMb ?? 64}M`,
    '--innodb-log-file-size=32M',
    `--innodb-flush-log-at-trx-commit=${options.flushLogAtCommit ?? 2}`,
    // A stop is part of many tests: skip the purge and the dump of the buffer pool.
    '--innodb-fast-shutdown=1',
    '--innodb-buffer-pool-dump-at-shutdown=0',
    '--aria-pagecache-buffer-size=8M',
    '--key-buffer-size=1M',
    '--performance-schema=OFF',
    ...(tls === null
      ? []
      : [`--ssl-ca=${tls.caFile}`, `--ssl-cert=${tls.certFile}`, `--ssl-key=${tls.keyFile}`]),
    ...(options.args ?? []),
  ];
}

function rootAccounts(password: string): string {
  // Names are not resolved, so a client over TCP is root@127.0.0.1; the socket's is root@localhost.
  return ['127.0.0.1', 'localhost']
    .flatMap((host) => [
      `CREATE USER IF NOT EXISTS root@'${host}';`,
      `GRANT ALL PRIVILEGES ON *.* TO root@'${host}' WITH GRANT OPTION;`,
      `ALTER USER root@'${host}' IDENTIFIED BY '${password}';`,
    ])
    .join('\n');
}

function asRoot(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

/** A data directory made once per MariaDB version on this machine. */
async function dataTemplate(mariadbd: string): Promise<string> {
  const install = requireProgram('mariadb-install-db', HINT);
  const { stdout: version } = await run(mariadbd, ['--version']);
  const key = createHash('sha256')
    .update(`1 ${version} ${process.getuid?.() ?? ''}`)
    .digest('hex')
    .slice(0, 12);
  return templateDir(`headway-mariadb-template-${key}`, async (path) => {
    await run(install, [
      '--no-defaults',
      ...asRoot(),
      `--datadir=${path}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--innodb-log-file-size=4M',
      '--innodb-autoextend-increment=8',
    ]);
  });
}
