// One guarded connection to PostgreSQL: read-only, autocommit, every statement under a time limit.
import { connect, type Socket } from 'node:net';
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { Client } from 'pg';
import type { z } from 'zod';
import { HeadwayError } from '../../contract/errors.ts';
import type { DatabaseSettings } from '../../contract/settings.ts';
import { abortFailure } from './database-errors.ts';
import { postgresFailure } from './postgres-errors.ts';
import { readTlsFiles } from './tls-files.ts';

export interface PostgresSessionOptions {
  settings: DatabaseSettings;
  /** Resolved; null when the account has none. */
  password: string | null;
  /** The server stops any statement that runs longer. */
  statementTimeoutMs: number;
}

/** Waiting for somebody's lock is not what a poll is for. */
const LOCK_TIMEOUT_MS = 200;

/**
 * How statements are planned here, and the server's version. A statement of many parts would be compiled for longer
 * (200 ms) than it runs. Parallel workers are the database's own to use; besides, what they read is counted elsewhere
 * (rows-read.ts), and a parallel plan tells its rows by worker. Where the server knows no such setting none is set.
 */
const PLANNING = `
  SELECT current_setting('server_version') AS server_version,
         (SELECT count(set_config(name, setting_here, false))
            FROM pg_settings
            JOIN (VALUES ('jit', 'off'), ('max_parallel_workers_per_gather', '0')) AS here (name, setting_here)
           USING (name))`;

/**
 * An open session. Statements run one after another; an aborted or broken session is `lost` and must be
 * replaced by a new one. Rejects with HeadwayError.
 */
export class PostgresSession implements AsyncDisposable {
  /** "15.14" */
  readonly version: string;
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #settings: DatabaseSettings;
  #busy = false;

  private constructor(client: Client, socket: Socket, version: string, settings: DatabaseSettings) {
    this.#client = client;
    this.#socket = socket;
    this.version = version;
    this.#settings = settings;
  }

  /** Connects, logs in and sets the guards. */
  static async open(options: PostgresSessionOptions, signal: AbortSignal): Promise<PostgresSession> {
    const { settings, password, statementTimeoutMs } = options;
    const ssl = await tlsOptions(settings);
    const socket = connect({ host: settings.host, port: settings.port, noDelay: true, keepAlive: true });
    // Failures reach whoever waits; an unwaited one only ends the socket.
    socket.on('error', () => undefined);
    try {
      return await endingWith(signal, socket, settings, async () => {
        await connected(socket);
        const client = new Client({
          stream: () => socket,
          host: settings.host,
          port: settings.port,
          user: settings.user,
          database: settings.database,
          ...(password === null ? {} : { password }),
          ssl,
          application_name: 'Headway',
          statement_timeout: statementTimeoutMs,
          lock_timeout: LOCK_TIMEOUT_MS,
          options: '-c default_transaction_read_only=on -c TimeZone=UTC -c DateStyle=ISO',
        });
        // A connection that breaks while idle reports here; the socket's state tells the rest.
        client.on('error', () => socket.destroy());
        await client.connect();
        const { rows } = await client.query<{ server_version: string }>(PLANNING);
        const version = rows[0]?.server_version.split(' ')[0] ?? '';
        return new PostgresSession(client, socket, version, settings);
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
  async rows<S extends z.ZodType>(
    row: S,
    sql: string,
    signal: AbortSignal,
    parameters: readonly unknown[] = [],
  ): Promise<z.infer<S>[]> {
    this.#busy = true;
    try {
      const { rows } = await endingWith(signal, this.#socket, this.#settings, () =>
        this.#client.query<Record<string, unknown>>(sql, [...parameters]),
      );
      return rows.map((raw) => parseRow(row, raw, this.#settings));
    } finally {
      this.#busy = false;
    }
  }

  /** Like `rows`, for a statement that yields exactly one. */
  async row<S extends z.ZodType>(
    row: S,
    sql: string,
    signal: AbortSignal,
    parameters: readonly unknown[] = [],
  ): Promise<z.infer<S>> {
    const [first] = await this.rows(row, sql, signal, parameters);
    if (first === undefined) {
      throw new HeadwayError('schema-mismatch', `${this.#settings.host} answered a statement without a row.`);
    }
    return first;
  }

  /** Says goodbye where the server still listens, and closes the socket. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.lost && !this.#busy) await this.#client.end().catch(() => undefined);
    this.#socket.destroy();
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed')));
  });
}

function parseRow<S extends z.ZodType>(row: S, raw: unknown, settings: DatabaseSettings): z.infer<S> {
  const parsed = row.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const what = issue === undefined ? 'no reason' : `${issue.path.join('.')}: ${issue.message}`;
  throw new HeadwayError(
    'schema-mismatch',
    `Database ${settings.database} on ${settings.host}:${settings.port} answered in an unexpected form: ${what}.`,
  );
}

/** Runs `work`; when `signal` aborts, destroys the socket, which makes whatever waits on it reject. */
async function endingWith<T>(
  signal: AbortSignal,
  socket: Socket,
  settings: DatabaseSettings,
  work: () => Promise<T>,
): Promise<T> {
  const end = (): void => {
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
    if (isAborted(signal)) throw abortFailure(signal, settings);
    const failure = postgresFailure(error, settings);
    // The server said goodbye before the socket closed: nobody should ask this session once more.
    if (failure.code === 'unreachable') end();
    throw failure;
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** A call, so that the compiler does not take the answer for what it was before the last await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** pg's TLS options for a mode; false without TLS. */
async function tlsOptions(settings: DatabaseSettings): Promise<ConnectionOptions | false> {
  const { tls, host } = settings;
  if (tls.mode === 'disabled') return false;
  return {
    ...(await readTlsFiles(settings)),
    rejectUnauthorized: tls.mode !== 'required',
    // Over a socket of one's own Node does not know which host was meant.
    servername: host,
    checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
      tls.mode === 'verify-identity' ? checkServerIdentity(host, certificate) : undefined,
  };
}
