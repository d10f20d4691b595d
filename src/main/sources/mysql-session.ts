// One guarded connection to MySQL or MariaDB: read-only, autocommit, every statement under a time limit.
import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket, SslOptions } from 'mysql2/promise';
import type { z } from 'zod';
import { HeadwayError } from '../../contract/errors.ts';
import type { DatabaseSettings } from '../../contract/settings.ts';
import { abortFailure } from './database-errors.ts';
import { mysqlFailure } from './mysql-errors.ts';
import { readTlsFiles } from './tls-files.ts';

export interface MysqlSessionOptions {
  settings: DatabaseSettings;
  /** Resolved; null when the account has none. */
  password: string | null;
  /** The server stops any statement that runs longer. */
  statementTimeoutMs: number;
}

export interface MysqlServer {
  product: 'MariaDB' | 'MySQL';
  version: string;
  /** The account the server let in, quoted as GRANT wants it: `'headway'@'%'`. */
  account: string;
}

/**
 * An open session. Statements run one after another; an aborted or broken session is `lost` and must be
 * replaced by a new one. Rejects with HeadwayError.
 */
export class MysqlSession implements AsyncDisposable {
  readonly server: MysqlServer;
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #settings: DatabaseSettings;
  #busy = false;

  private constructor(
    connection: Connection,
    socket: Socket,
    server: MysqlServer,
    settings: DatabaseSettings,
  ) {
    this.#connection = connection;
    this.#socket = socket;
    this.server = server;
    this.#settings = settings;
  }

  /** Connects, logs in and sets the guards. `connected`, when given, is the socket to use; it is owned from here on. */
  static async open(
    options: MysqlSessionOptions,
    signal: AbortSignal,
    connected?: Socket,
  ): Promise<MysqlSession> {
    const { settings } = options;
    const ssl = await tlsOptions(settings);
    const socket = connected ?? dial(settings);
    try {
      return await endingWith(signal, socket, settings, async () => {
        const connection = await createConnection({
          stream: () => socket,
          host: settings.host,
          port: settings.port,
          user: settings.user,
          database: settings.database,
          charset: 'utf8mb4',
          timezone: 'Z',
          // The caller's signal is the one time limit.
          connectTimeout: 0,
          connectAttributes: { program_name: 'Headway' },
          ...(options.password === null ? {} : { password: options.password }),
          ...(ssl === null ? {} : { ssl }),
        });
        // A connection that breaks while idle reports here; the socket's state tells the rest.
        connection.on('error', () => socket.destroy());
        const server = await identify(connection);
        for (const guard of guards(server.product, options.statementTimeoutMs)) await connection.query(guard);
        return new MysqlSession(connection, socket, server, settings);
      });
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  get lost(): boolean {
    return this.#socket.destroyed || !this.#socket.writable;
  }

  /** Runs one statement and parses every row. A row of another shape is a `schema-mismatch`. */
  async rows<S extends z.ZodType>(row: S, sql: string, signal: AbortSignal): Promise<z.infer<S>[]> {
    this.#busy = true;
    try {
      const [rows] = await endingWith(signal, this.#socket, this.#settings, () =>
        this.#connection.query<RowDataPacket[]>(sql),
      );
      return rows.map((raw) => parseRow(row, raw, this.#settings));
    } finally {
      this.#busy = false;
    }
  }

  /** Like `rows`, for a statement that yields exactly one. */
  async row<S extends z.ZodType>(row: S, sql: string, signal: AbortSignal): Promise<z.infer<S>> {
    const [first] = await this.rows(row, sql, signal);
    if (first === undefined) {
      throw new HeadwayError('schema-mismatch', `${this.#settings.host} answered a statement without a row.`);
    }
    return first;
  }

  /** Says goodbye where the server still listens, and closes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.lost && !this.#busy) {
      await Promise.race([this.#connection.end(), once(this.#socket, 'close')]).catch(() => undefined);
    }
    this.#socket.destroy();
  }
}

/** A socket on its way to the database: no delay for small packets, and keep-alive so that dead peers are found. */
export function dial(settings: DatabaseSettings): Socket {
  const socket = connect({
    host: settings.host,
    port: settings.port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 15_000,
  });
  // Over a socket of one's own, Node compares a certificate with the name the socket was asked to look up, and
  // with "localhost" when that was an address: without this, `verify-identity` would check the wrong host.
  return isIP(settings.host) === 0 ? socket : Object.assign(socket, { _host: settings.host });
}

const unexpectedForm = (settings: DatabaseSettings, what: string) =>
  new HeadwayError(
    'schema-mismatch',
    `Database ${settings.database} on ${settings.host}:${settings.port} answered in an unexpected form: ${what}.`,
  );

function parseRow<S extends z.ZodType>(row: S, raw: unknown, settings: DatabaseSettings): z.infer<S> {
  const parsed = row.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw unexpectedForm(
    settings,
    issue === undefined ? 'no reason' : `${issue.path.join('.')}: ${issue.message}`,
  );
}

/** Runs `work`; when `signal` aborts, destroys the socket, which makes whatever waits on it reject. */
async function endingWith<T>(
  signal: AbortSignal,
  socket: Socket,
  settings: DatabaseSettings,
  work: () => Promise<T>,
): Promise<T> {
  const ending = { aborted: signal.aborted };
  const end = () => {
    ending.aborted = true;
    socket.destroy();
  };
  if (signal.aborted) {
    end();
    throw abortFailure(signal, settings);
  }
  signal.addEventListener('abort', end, { once: true });
  try {
    return await work();
  } catch (error) {
    throw ending.aborted ? abortFailure(signal, settings) : mysqlFailure(error, settings);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

async function identify(connection: Connection): Promise<MysqlServer> {
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT VERSION() AS version, CURRENT_USER() AS account',
  );
  const version = String(rows[0]?.['version'] ?? '');
  const account = String(rows[0]?.['account'] ?? '');
  const at = account.lastIndexOf('@');
  return {
    product: /mariadb/i.test(version) ? 'MariaDB' : 'MySQL',
    version: version.replace(/-.*/, ''),
    account: `${connection.escape(account.slice(0, at))}@${connection.escape(account.slice(at + 1))}`,
  };
}

/** Set once per session. A lock wait is bounded too: an ALTER TABLE must not hold a poll for a day. */
function guards(product: MysqlServer['product'], statementTimeoutMs: number): string[] {
  const limit =
    product === 'MariaDB'
      ? `max_statement_time = ${statementTimeoutMs / 1000}`
      : `max_execution_time = ${Math.ceil(statementTimeoutMs)}`;
  return [
    `SET SESSION ${limit}, SESSION lock_wait_timeout = 1, SESSION autocommit = 1, SESSION sql_mode = ''`,
    'SET SESSION TRANSACTION READ ONLY',
  ];
}

/** mysql2's TLS options for a mode; null without TLS. */
async function tlsOptions(settings: DatabaseSettings): Promise<SslOptions | null> {
  const { tls } = settings;
  if (tls.mode === 'disabled') return null;
  return {
    ...(await readTlsFiles(settings)),
    rejectUnauthorized: tls.mode !== 'required',
    verifyIdentity: tls.mode === 'verify-identity',
  };
}
