// A few connections to PostgreSQL, opened when they are needed, and its errors in words that say what to do.
import type { ConnectionOptions } from 'node:tls';
import { DatabaseError, Pool, type PoolClient, type QueryResultRow } from 'pg';
import { HeadwayError, type ErrorCode } from '../../../contract/errors.ts';

export interface PostgresAddress {
  host: string;
  port: number;
  user: string;
  /** Undefined: as the server lets the user in without one. */
  password?: string | undefined;
  database: string;
  /** How to speak TLS; false for plain text. */
  tls?: ConnectionOptions | false;
}

/** A statement that each connection prepares once. */
export interface Statement {
  name: string;
  text: string;
}

/** Runs one statement and answers its rows, which are anything until they are parsed. */
export type Ask = (statement: Statement | string, values?: readonly unknown[]) => Promise<QueryResultRow[]>;

/** A connection that does not come about is given up after this. */
const CONNECT_MS = 5_000;
/** No statement of the store takes nearly as long on a server that is well. */
const STATEMENT_MS = 30_000;
const LOCK_MS = 15_000;
/** A machine that vanished in the middle of a transaction holds its locks no longer than this. */
const SILENT_TRANSACTION_MS = 30_000;
const KEEP_ALIVE_MS = 10_000;

export class PostgresPool implements AsyncDisposable {
  readonly #pool: Pool;
  readonly #connections: number;
  readonly #isLooking: boolean;
  /** "db.example.com/jobs": in messages. */
  readonly place: string;

  /** Connects to nothing yet. `lookMs`: the server lets nothing be written, and stops reads that run longer. */
  constructor(address: PostgresAddress, connections: number, lookMs: number | null = null) {
    this.#isLooking = lookMs !== null;
    const { host, port, user, password, database, tls = false } = address;
    this.place = `${host}:${port}/${database}`;
    this.#connections = connections;
    // pg turns Nagle's algorithm off by itself (TCP_NODELAY).
    this.#pool = new Pool({
      ...{ host, port, user, database, ssl: tls, max: connections },
      ...(password !== undefined && { password }),
      application_name: 'headway',
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: 60_000,
      statement_timeout: lookMs ?? STATEMENT_MS,
      ...(lookMs !== null && { options: '-c default_transaction_read_only=on' }),
      lock_timeout: LOCK_MS,
      idle_in_transaction_session_timeout: SILENT_TRANSACTION_MS,
    });
    // An idle connection that breaks leaves the pool; whoever asks next gets a new one, or hears why there is none.
    this.#pool.on('error', () => undefined);
  }

  get inUse(): { used: number; size: number; waiting: number } {
    const { totalCount, idleCount, waitingCount } = this.#pool;
    return { used: totalCount - idleCount, size: this.#connections, waiting: waitingCount };
  }

  /** One statement, one transaction. Rejects with HeadwayError. */
  readonly ask: Ask = async (statement, values) => {
    try {
      return (await this.#pool.query<QueryResultRow>(queryOf(statement, values))).rows;
    } catch (error) {
      throw this.#inWords(error);
    }
  };

  /** Commits what `steps` does when it resolves, undoes it when it rejects. */
  async transaction<T>(steps: (ask: Ask) => Promise<T>): Promise<T> {
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw this.#inWords(error);
    }
    let isBroken = false;
    // A connection that breaks between two statements: the next one tells.
    const onError = (): void => {
      isBroken = true;
    };
    client.on('error', onError);
    try {
      await client.query('BEGIN');
      const result = await steps(
        async (statement, values) => (await client.query<QueryResultRow>(queryOf(statement, values))).rows,
      );
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(onError);
      throw this.#inWords(error);
    } finally {
      client.off('error', onError);
      client.release(isBroken);
    }
  }

  /** A connection of its own for the steps that bring the schema up to date. */
  async alone<T>(steps: (client: PoolClient) => Promise<T>): Promise<T> {
    try {
      const client = await this.#pool.connect();
      try {
        return await steps(client);
      } finally {
        client.release(true);
      }
    } catch (error) {
      throw this.#inWords(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.ended ? Promise.resolve() : this.#pool.end();
  }

  #inWords(error: unknown): unknown {
    if (error instanceof HeadwayError || !(error instanceof Error)) return error;
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    const say = (as: ErrorCode, words: string, retryable = false): HeadwayError =>
      new HeadwayError(as, `PostgreSQL at ${this.place}: ${words} (${error.message})`, {
        retryable,
        cause: error,
      });
    if (!(error instanceof DatabaseError)) {
      const away = 'does not answer; see that it runs and that this machine may reach it';
      // Of the socket: refused, reset, timed out, not found.
      if (/^(ECONN|ENOTFOUND|EAI_|EHOST|ENET|ETIMEDOUT|EPIPE|ENOENT|EADDR)/.test(code))
        return say('unreachable', away, true);
      if (/certificate|self.signed|TLS|SSL/i.test(error.message))
        return say('tls-failed', 'no TLS connection came about; check its certificate and the tls settings');
      // Of pg and its pool: they give no codes.
      return /terminated|timeout|not queryable|connection|socket/i.test(error.message)
        ? say('unreachable', away, true)
        : error;
    }
    if (this.#isLooking && code === '57014')
      return say(
        'budget-exceeded',
        'a read took too long; reads are asked less often until it is faster',
        true,
      );
    const row = [...meanings].find(([codes]) => codes.test(code))?.[1];
    return row ? say(row.as, row.words, row.retryable) : say('internal', `an unexpected error ${code}`);
  }
}

/** SQLSTATEs (PostgreSQL manual, appendix A) and what they mean for the engine. */
const meanings = new Map<RegExp, { as: ErrorCode; words: string; retryable?: true }>([
  [
    /^(08...|57P0[1235]|53300|53400|25P03)$/,
    {
      as: 'unreachable',
      words: 'ended the connection or lets nobody in now',
      retryable: true,
    },
  ],
  [/^28...$/, { as: 'authentication-failed', words: 'refuses the user or the password; check both' }],
  [/^3D000$/, { as: 'database-unknown', words: 'has no such database; check its name' }],
  [
    /^42501$/,
    {
      as: 'grant-missing',
      words: 'the user lacks a right; let the owner of the schema grant it, or run as the owner',
    },
  ],
  [
    /^(3F000|42P01|42883|42703)$/,
    { as: 'schema-mismatch', words: 'the job store’s schema is gone or another one; open the store again' },
  ],
  [
    /^(57014|55P03)$/,
    { as: 'timeout', words: 'a statement took too long; look for locks and load', retryable: true },
  ],
  [
    /^(40001|40P01)$/,
    {
      as: 'conflict',
      words: 'two transactions stood in each other’s way',
      retryable: true,
    },
  ],
  [/^(53...|58...)$/, { as: 'storage-failed', words: 'is out of disk, memory or files', retryable: true }],
]);

function queryOf(statement: Statement | string, values: readonly unknown[] = []) {
  // pg takes a mutable array and leaves it as it is.
  const given = values as unknown[];
  return typeof statement === 'string' ? { text: statement, values: given } : { ...statement, values: given };
}
