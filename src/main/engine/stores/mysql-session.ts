// Connections of the MySQL/MariaDB store: statements go out many at a time, transactions are tried again when locks
// were in their way, and a broken connection never comes back into the pool.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import type { Pool, PoolConnection, ResultSetHeader, RowDataPacket, SslOptions } from 'mysql2/promise';
import type { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import type { tlsSchema } from '../../../contract/settings.ts';
import { isBroken, isDuplicate, isLockTrouble, mysqlFailure } from './mysql-failure.ts';

export interface MysqlAddress {
  host: string;
  port: number;
  user: string;
  /** Null when the account has none. */
  password: string | null;
  database: string;
  tls?: z.output<typeof tlsSchema> | undefined;
}

export interface MysqlPoolOptions extends MysqlAddress {
  connections: number;
  /** Sessions that the server lets write nothing, and whose reads it stops when they run longer; null for others. */
  lookMs: number | null;
}

export interface Statement {
  sql: string;
  values?: readonly unknown[];
}
export type Row = Readonly<Record<string, unknown>>;

/** A statement that hangs longer than this has lost its server. */
const STATEMENT_MS = 120_000;
const CONNECT_MS = 10_000;
/** One packet; far below the least max_allowed_packet that is in use. */
const PACKET_CHARS = 512 * 1024;
const TRIES = 20;
const CLOSE_MS = 2_000;

/** One connection for one caller. */
export class MysqlSession {
  readonly #connection: PoolConnection;

  constructor(connection: PoolConnection) {
    this.#connection = connection;
  }

  /** The rows of one statement. */
  async rows(statement: Statement): Promise<Row[]> {
    const [rows] = await this.run([statement]);
    return rows ?? [];
  }

  /** All of them in order, in as few round trips as their size allows; answers each one's rows. */
  async run(statements: readonly Statement[]): Promise<Row[][]> {
    return (await this.results(statements)).map((result) => (Array.isArray(result) ? result : []));
  }

  /** Like `run`, with what a write says of itself. */
  async results(statements: readonly Statement[]): Promise<(Row[] | ResultSetHeader)[]> {
    const results: (Row[] | ResultSetHeader)[] = [];
    let packet: string[] = [];
    let chars = 0;
    const send = async () => {
      if (packet.length === 0) return;
      const sql = packet.join(';\n');
      const count = packet.length;
      packet = [];
      chars = 0;
      const [answer] = await this.#connection.query<RowDataPacket[] | ResultSetHeader>({
        sql,
        timeout: STATEMENT_MS,
      });
      // Of several statements mysql2 answers a list of results, of one the result itself.
      if (count === 1) results.push(answer);
      else results.push(...(answer as unknown as (RowDataPacket[] | ResultSetHeader)[]));
    };
    for (const { sql, values } of statements) {
      const text = values === undefined ? sql : this.#connection.format(sql, [...values]);
      if (chars + text.length > PACKET_CHARS) await send();
      packet.push(text);
      chars += text.length;
    }
    await send();
    return results;
  }
}

/** A transaction under way. */
export interface Transaction extends MysqlSession {
  /** The last statements, with the commit in the same round trip. Whoever does not call it changes nothing. */
  commit(statements?: readonly Statement[]): Promise<Row[][]>;
}

class OpenTransaction extends MysqlSession implements Transaction {
  committed = false;
  #begun = false;

  override results(statements: readonly Statement[]): Promise<(Row[] | ResultSetHeader)[]> {
    if (this.#begun) return super.results(statements);
    this.#begun = true;
    return super.results([{ sql: 'START TRANSACTION' }, ...statements]).then((results) => results.slice(1));
  }

  async commit(statements: readonly Statement[] = []): Promise<Row[][]> {
    const rows = await this.run([...statements, { sql: 'COMMIT' }]);
    this.committed = true;
    return rows.slice(0, -1);
  }

  async rollback(): Promise<void> {
    if (this.#begun) await super.results([{ sql: 'ROLLBACK' }]);
  }
}

export class MysqlPool implements AsyncDisposable {
  /** "db.example.com:3306/jobs". */
  readonly place: string;
  readonly #pool: Pool;
  readonly #lookMs: number | null;
  readonly #connections: number;
  #used = 0;
  #waiting = 0;
  /** By the connection beneath mysql2's promise wrapper. */
  readonly #prepared = new Map<object, PoolConnection>();
  #disposal: Promise<void> | null = null;

  /** Reads the TLS files; connects when first asked something. Rejects with `file-missing`. */
  static async open(options: MysqlPoolOptions): Promise<MysqlPool> {
    return new MysqlPool(options, await tlsOptions(options));
  }

  private constructor(options: MysqlPoolOptions, ssl: SslOptions | null) {
    const { host, port, user, password, database, connections } = options;
    this.place = `${host}:${port}/${database}`;
    this.#lookMs = options.lookMs;
    this.#connections = connections;
    // mysql2 sets TCP_NODELAY by itself.
    this.#pool = mysql.createPool({
      host,
      port,
      user,
      database,
      ...(password === null ? {} : { password }),
      ...(ssl === null ? {} : { ssl }),
      charset: 'utf8mb4',
      timezone: 'Z',
      multipleStatements: true,
      connectionLimit: connections,
      maxIdle: connections,
      connectTimeout: CONNECT_MS,
      enableKeepAlive: true,
      keepAliveInitialDelay: 15_000,
      connectAttributes: { program_name: 'Headway engine' },
    });
  }

  get inUse(): { used: number; size: number; waiting: number } {
    // A connection is only waited for when all are taken; until then the wait is that of a login.
    return { used: this.#used, size: this.#connections, waiting: this.#waiting };
  }

  /** Reads or writes without a transaction of its own. */
  use<T>(work: (session: MysqlSession) => Promise<T>): Promise<T> {
    return this.#with((connection) => work(new MysqlSession(connection)));
  }

  /**
   * Runs `work` in a transaction. It may run several times: when another transaction's locks were in its way, or, with
   * `retryDuplicates`, when another one inserted the same key meanwhile. What was not committed is undone.
   */
  transaction<T>(
    work: (transaction: Transaction) => Promise<T>,
    { retryDuplicates = false }: { retryDuplicates?: boolean } = {},
  ): Promise<T> {
    return this.#with(async (connection) => {
      for (let attempt = 1; ; attempt++) {
        const transaction = new OpenTransaction(connection);
        try {
          const result = await work(transaction);
          if (!transaction.committed) await transaction.rollback();
          return result;
        } catch (error) {
          if (isBroken(error)) throw error;
          await transaction.rollback();
          const again = isLockTrouble(error) || (retryDuplicates && isDuplicate(error));
          if (!again || attempt === TRIES) throw error;
          // Two that keep meeting part by chance.
          await sleep(Math.random() * Math.min(200, 2 ** attempt));
        }
      }
    });
  }

  async #with<T>(work: (connection: PoolConnection) => Promise<T>): Promise<T> {
    let connection: PoolConnection | null = null;
    let broken = false;
    this.#waiting += 1;
    try {
      try {
        connection = await this.#pool.getConnection();
      } finally {
        this.#waiting -= 1;
      }
      this.#used += 1;
      await this.#prepare(connection);
      return await work(connection);
    } catch (error) {
      broken = isBroken(error);
      throw mysqlFailure(error, this.place);
    } finally {
      if (connection) this.#used -= 1;
      if (broken) connection?.destroy();
      else connection?.release();
    }
  }

  /** What a session must be like, whatever the server's own settings are. */
  async #prepare(connection: PoolConnection): Promise<void> {
    // The promise wrapper is made anew at each use; the connection beneath stays.
    const beneath = connection.connection;
    if (this.#prepared.has(beneath)) return;
    beneath.on('error', () => undefined);
    beneath.once('end', () => this.#prepared.delete(beneath));
    const session = new MysqlSession(connection);
    await session.run([
      {
        sql: `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION time_zone = '+00:00',
          SESSION autocommit = 1, SESSION innodb_lock_wait_timeout = 5, SESSION lock_wait_timeout = 30`,
      },
      { sql: 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED' },
      ...(this.#lookMs !== null ? [{ sql: 'SET SESSION TRANSACTION READ ONLY' }] : []),
    ]);
    if (this.#lookMs !== null) {
      const [version] = await session.rows({ sql: 'SELECT VERSION() AS version' });
      const limit = /mariadb/i.test(fieldsOf(version).text('version'))
        ? `max_statement_time = ${this.#lookMs / 1000}`
        : `max_execution_time = ${this.#lookMs}`;
      await session.rows({ sql: `SET SESSION ${limit}` });
    }
    this.#prepared.set(beneath, connection);
  }

  /** Says goodbye to the server, and does not wait long for its answer. Idempotent. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#disposal ??= this.#close());
  }

  async #close(): Promise<void> {
    const late = new AbortController();
    await Promise.race([
      this.#pool.end().catch(() => undefined),
      sleep(CLOSE_MS, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    for (const connection of this.#prepared.values()) connection.destroy();
    this.#prepared.clear();
  }
}

/** mysql2's TLS options; null without TLS. */
async function tlsOptions({ host, port, tls }: MysqlAddress): Promise<SslOptions | null> {
  if (tls === undefined || tls.mode === 'disabled') return null;
  const read = async (name: 'ca' | 'cert' | 'key', path: string | undefined) => {
    if (path === undefined) return {};
    try {
      return { [name]: await readFile(path) };
    } catch (cause) {
      throw new HeadwayError(
        'file-missing',
        `The TLS file ${path} for ${host}:${port} cannot be read. Check its path and permissions.`,
        { cause },
      );
    }
  };
  return {
    ...(await read('ca', tls.caFile)),
    ...(await read('cert', tls.certFile)),
    ...(await read('key', tls.keyFile)),
    rejectUnauthorized: tls.mode !== 'required',
    verifyIdentity: tls.mode === 'verify-identity',
  };
}

/** Text as the bytes of an id: compared byte by byte, whatever the session's collation is. */
export const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');

/** A row's fields by name and type; another type is a schema that is not ours. */
export function fieldsOf(row: Row | undefined) {
  const wrong = (name: string) =>
    new HeadwayError('schema-mismatch', `The job store answered in an unexpected form: ${name}.`);
  const number = (name: string): number => {
    const value = row?.[name];
    if (typeof value === 'number') return value;
    // Sums come as decimals.
    if (typeof value === 'string' && value !== '' && Number.isFinite(Number(value))) return Number(value);
    throw wrong(name);
  };
  const text = (name: string): string => {
    const value = row?.[name];
    if (typeof value === 'string') return value;
    if (Buffer.isBuffer(value)) return value.toString('utf8');
    throw wrong(name);
  };
  const isNull = (name: string): boolean => row?.[name] === null;
  return {
    number,
    text,
    numberOrNull: (name: string) => (isNull(name) ? null : number(name)),
    textOrNull: (name: string) => (isNull(name) ? null : text(name)),
  };
}
