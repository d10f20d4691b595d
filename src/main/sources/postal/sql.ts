// Every statement the Postal source runs, with the index each walks. All are reads, and all are cheap: what
// one costs depends on the number of servers, never on the number of queued rows.
import { escape } from 'mysql2';
import { quoteName } from '../mysql-errors.ts';

/** Rows read of one poll's heads at most, shared among the tenants that have rows: 41 of them get 200 each, 1,000 get 8. */
const HEAD_ROWS = { inAll: 8_300, most: 201, least: 8 };
/** The newest rows of a tenant with more than a head, of as many tenants as one poll looks deeper at. */
export const TAIL_ROWS = 50;
export const DEEPER_PER_POLL = 25;
/** Tenants whose rows one statement asks for: 5,000 rows, far inside the statement's time limit and one turn of the loop. */
export const QUEUES_PER_STATEMENT = 25;
/** Tenants that other statements ask about. */
export const TENANTS_PER_STATEMENT = 100;

/** How many rows a head has when `tenants` share them. A head as long as this may not be the whole queue. */
export const headLimit = (tenants: number): number =>
  Math.max(HEAD_ROWS.least, Math.min(HEAD_ROWS.most, Math.floor(HEAD_ROWS.inAll / Math.max(1, tenants))));

/** The columns needed, by table. The first two tables are indispensable. */
export const NEEDED_COLUMNS = {
  queued_messages: ['id', 'server_id', 'locked_by', 'locked_at', 'retry_after', 'created_at'],
  servers: ['id', 'organization_id', 'name', 'permalink', 'deleted_at'],
  organizations: ['id', 'name'],
  worker_roles: ['acquired_at'],
} as const;
export type PostalTable = keyof typeof NEEDED_COLUMNS;

const HEAD_COLUMNS = 'id, server_id, locked_by, locked_at, retry_after, created_at';
const quoted = (name: string) => escape(name);

/** Columns this account may read. Walks: information_schema, opened by database and table name. */
export const columns = `
  SELECT TABLE_NAME AS table_name, COLUMN_NAME AS column_name
    FROM information_schema.COLUMNS
   WHERE TABLE_SCHEMA = DATABASE()
     AND TABLE_NAME IN (${Object.keys(NEEDED_COLUMNS).map(quoted).join(', ')})`;

/** Tells an absent table or column from one that is not granted: it fails with the one or the other. Reads no row. */
export const touch = (table: string, names: readonly string[]): string =>
  `SELECT ${names.map(quoteName).join(', ')} FROM ${quoteName(table)} LIMIT 0`;

/**
 * The index on server_id alone: InnoDB appends the primary key to it, so that it is ordered by (server_id, id).
 * Walks: information_schema, opened by database and table name.
 */
export const serverIdIndex = `
  SELECT INDEX_NAME AS index_name
    FROM information_schema.STATISTICS
   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'queued_messages'
   GROUP BY INDEX_NAME
  HAVING GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) IN ('server_id', 'server_id,id')
   LIMIT 1`;

/** Names of all servers, deleted ones too: they may still own queued rows. Walks: PRIMARY of both tables. */
export const servers = (withOrganizations: boolean): string => `
  SELECT s.id, s.name, s.permalink, s.deleted_at IS NOT NULL AS deleted,
         ${withOrganizations ? 'o.name' : 'NULL'} AS organization
    FROM servers s${
      withOrganizations
        ? `
    LEFT JOIN organizations o ON o.id = s.organization_id`
        : ''
    }
   ORDER BY s.id`;

/**
 * Servers, and which of them have queued rows. Walks: PRIMARY of servers, and per server one entry of the index
 * on server_id. Not a GROUP BY: the optimiser may turn its loose scan into a walk over the whole index when the
 * statistics are stale or one server owns most rows (1,000,000 reads instead of 41 on MariaDB 10.11).
 */
export const queueOwners = (index: string): string => `
  SELECT s.id, s.deleted_at IS NOT NULL AS deleted,
         (SELECT q.id
            FROM queued_messages q FORCE INDEX (${quoteName(index)})
           WHERE q.server_id = s.id
           ORDER BY q.id
           LIMIT 1) AS first_id
    FROM servers s`;

/**
 * Owners of queued rows whether or not their server still exists. Walks: the index on server_id, loosely ("Using
 * index for group-by"); as the optimiser may choose otherwise, this is asked with the names, not with each poll.
 */
export const owners = (index: string): string => `
  SELECT server_id AS id
    FROM queued_messages FORCE INDEX FOR GROUP BY (${quoteName(index)})
   GROUP BY server_id`;

/** The oldest rows of each tenant. Walks: the index on server_id, `limit` entries a tenant, each with its row. */
export const heads = (index: string, serverIds: readonly number[], limit: number): string =>
  rowsOfEach(index, serverIds, `ORDER BY id LIMIT ${limit}`);

/** The newest rows of each tenant. Walks: the index on server_id backwards, `limit` entries a tenant, each with its row. */
export const tails = (index: string, serverIds: readonly number[], limit: number): string =>
  rowsOfEach(index, serverIds, `ORDER BY id DESC LIMIT ${limit}`);

// Bracketed, so that each LIMIT is its own; forced, so that no plan walks the primary key past other tenants' rows.
const rowsOfEach = (index: string, serverIds: readonly number[], order: string): string =>
  serverIds
    .map(
      (id) => `
  (SELECT ${HEAD_COLUMNS}
     FROM queued_messages FORCE INDEX (${quoteName(index)})
    WHERE server_id = ${id}
    ${order})`,
    )
    .join('\n  UNION ALL');

/**
 * The optimiser's estimate of each tenant's rows, in the order of `serverIds`. Reads no rows: InnoDB looks at a
 * few pages of the index on server_id.
 */
export const rowEstimates = (index: string, serverIds: readonly number[]): string =>
  `EXPLAIN${serverIds
    .map(
      (id) => `
  SELECT 1 FROM queued_messages FORCE INDEX (${quoteName(index)}) WHERE server_id = ${id}`,
    )
    .join('\n  UNION ALL')}`;

/** The database's clock and the newest leader heartbeat. Walks: worker_roles, a row or two. */
export const clock = (withWorkerRoles: boolean): string =>
  withWorkerRoles
    ? 'SELECT UTC_TIMESTAMP(6) AS now, (SELECT MAX(acquired_at) FROM worker_roles) AS leader_seen_at'
    : 'SELECT UTC_TIMESTAMP(6) AS now, NULL AS leader_seen_at';

/** Which message databases can be read. Walks: information_schema, one lookup by database and table name each. */
export const messageTables = (databases: readonly string[]): string =>
  databases
    .flatMap((database) =>
      ['messages', 'deliveries'].map(
        (table) => `
  SELECT TABLE_SCHEMA AS database_name
    FROM information_schema.TABLES
   WHERE TABLE_SCHEMA = ${quoted(database)} AND TABLE_NAME = ${quoted(table)}`,
      ),
    )
    .join('\n  UNION ALL');

/**
 * Per server the newest ids of messages and deliveries (ids only grow, so they count arrivals and attempts) and
 * the time of the newest delivery. Walks: the last entry of PRIMARY of each table.
 */
export const totals = (databases: readonly { serverId: number; database: string }[]): string =>
  databases
    .map(({ serverId, database }) => {
      const messages = `${quoteName(database)}.messages`;
      const deliveries = `${quoteName(database)}.deliveries`;
      return `
  SELECT ${serverId} AS server_id,
         (SELECT MAX(id) FROM ${messages}) AS messages,
         (SELECT MAX(id) FROM ${deliveries}) AS deliveries,
         (SELECT timestamp FROM ${deliveries} ORDER BY id DESC LIMIT 1) AS last_delivery_at`;
    })
    .join('\n  UNION ALL');

/** What this session has read so far: the handler's counters. Reads no rows itself on MariaDB. */
export const handlerReads = `SHOW SESSION STATUS LIKE 'Handler_read%'`;

/** The account's own grants. */
export const grants = 'SHOW GRANTS';

/** Protocol and cipher of this session. */
export const tlsStatus = `SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')`;
