// The message databases, one per server: their newest ids count what arrived and what was attempted.
import { HeadwayError } from '../../../contract/errors.ts';
import { escapeGrantPattern, grantSelect } from '../mysql-errors.ts';
import type { MysqlSession } from '../mysql-session.ts';
import { chunks } from './chunks.ts';
import * as rows from './rows.ts';
import type { TotalsRow } from './rows.ts';
import * as sql from './sql.ts';

/** Monotone counters of one server, and the worker's clock at its newest delivery attempt. */
export interface MessageTotals {
  arrivals: number;
  attempts: number;
  lastDeliveryAtMs: number | null;
}

export class MessageDatabases {
  readonly #prefix: string;
  /** Servers whose message database can be read; null before the first look. */
  #readable: Set<number> | null = null;
  #last = new Map<number, MessageTotals>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  nameOf(serverId: number): string {
    return `${this.#prefix}${serverId}`;
  }

  /** Looks which message databases exist and may be read; databases come, go and are granted. */
  async find(session: MysqlSession, serverIds: readonly number[], signal: AbortSignal): Promise<Set<number>> {
    const tables = new Map<string, number>();
    for (const chunk of chunks(serverIds, sql.TENANTS_PER_STATEMENT)) {
      const names = chunk.map((id) => this.nameOf(id));
      const found = await session.rows(rows.databaseRow, sql.messageTables(names), signal);
      for (const { database_name: name } of found) tables.set(name, (tables.get(name) ?? 0) + 1);
    }
    this.#readable = new Set(serverIds.filter((id) => tables.get(this.nameOf(id)) === 2));
    return this.#readable;
  }

  /** What cannot be known of the servers whose message database is not `readable`, and what to do about it. */
  warnings(serverIds: readonly number[], readable: ReadonlySet<number>, account: string): string[] {
    const missing = serverIds.filter((id) => !readable.has(id)).map((id) => this.nameOf(id));
    if (missing.length === 0) return [];
    const named = missing.slice(0, 3).join(', ') + (missing.length > 3 ? ', …' : '');
    const grant = grantSelect(`${escapeGrantPattern(this.#prefix)}%`, account);
    return [
      `Arrivals and attempts are not known for ${missing.length} of ${serverIds.length} servers: their message databases are missing or may not be read (${named}). An administrator runs: ${grant}`,
    ];
  }

  /** Totals of the servers whose message database can be read; looks for them first when nobody has. */
  async totals(
    session: MysqlSession,
    serverIds: readonly number[],
    signal: AbortSignal,
  ): Promise<Map<number, MessageTotals>> {
    const readable = this.#readable ?? (await this.find(session, serverIds, signal));
    const askable = serverIds.filter((id) => readable.has(id));
    const totals = new Map<number, MessageTotals>();
    for (const chunk of chunks(askable, sql.TENANTS_PER_STATEMENT)) {
      for (const row of await this.#read(session, chunk, signal)) {
        totals.set(row.server_id, this.#monotone(row));
      }
    }
    return totals;
  }

  /** A database that was dropped or revoked since the last look fails the whole statement: then each is asked alone. */
  async #read(
    session: MysqlSession,
    serverIds: readonly number[],
    signal: AbortSignal,
  ): Promise<TotalsRow[]> {
    const databases = serverIds.map((serverId) => ({ serverId, database: this.nameOf(serverId) }));
    try {
      return await session.rows(rows.totalsRow, sql.totals(databases), signal);
    } catch (error) {
      if (!cannotBeRead(error)) throw error;
      const [only, ...others] = serverIds;
      if (only !== undefined && others.length === 0) {
        this.#readable?.delete(only);
        return [];
      }
      const rest: TotalsRow[] = [];
      for (const id of serverIds) rest.push(...(await this.#read(session, [id], signal)));
      return rest;
    }
  }

  /** Ids only grow, but old messages are deleted: an emptied table keeps the last id that was seen. */
  #monotone(row: TotalsRow): MessageTotals {
    const last = this.#last.get(row.server_id);
    const totals = {
      arrivals: row.messages ?? last?.arrivals ?? 0,
      attempts: row.deliveries ?? last?.attempts ?? 0,
      lastDeliveryAtMs: row.last_delivery_at === null ? null : row.last_delivery_at * 1000,
    };
    this.#last.set(row.server_id, totals);
    return totals;
  }
}

const gone = new Set(['schema-mismatch', 'grant-missing', 'database-unknown']);
const cannotBeRead = (error: unknown): boolean => error instanceof HeadwayError && gone.has(error.code);
