// Postal's schema as of 3.3: the main database and one message database per server, with the columns and
// indexes that a reader of the queue may meet. Source: db/schema.rb and the message database's migrations.
import type { Connection } from 'mysql2/promise';
import type { MariaDb } from './mariadb.ts';

export interface PostalServer {
  id: number;
  name: string;
}

export interface PostalOptions {
  servers: PostalServer[];
  /** The main database (default `postal`). */
  database?: string;
  /** A server's message database is this prefix and its id (default `postal-server-`). */
  messageDatabasePrefix?: string;
}

/** Where a Postal was created. */
export interface Postal {
  readonly db: MariaDb;
  readonly database: string;
  readonly messageDatabasePrefix: string;
  readonly servers: readonly PostalServer[];
  /** Quoted name of a server's message database. */
  messageDatabase(serverId: number): string;
}

/** Creates the main database, one organisation, its servers and their message databases. */
export async function createPostal(db: MariaDb, options: PostalOptions): Promise<Postal> {
  const database = options.database ?? 'postal';
  const prefix = options.messageDatabasePrefix ?? 'postal-server-';
  const messageDatabase = (id: number) => quote(`${prefix}${id}`);
  const connection = await db.connect();
  try {
    await connection.query(`CREATE DATABASE ${quote(database)}; USE ${quote(database)}; ${MAIN_SCHEMA}`);
    await connection.query(
      `INSERT INTO organizations (id, uuid, name, permalink, created_at, updated_at)
       VALUES (1, UUID(), 'Example', 'example', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))`,
    );
    for (const server of options.servers) {
      await connection.execute(
        `INSERT INTO servers (id, organization_id, uuid, name, mode, permalink, send_limit, created_at, updated_at)
         VALUES (?, 1, UUID(), ?, 'Live', ?, 10000, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))`,
        [server.id, server.name, server.name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')],
      );
      const name = messageDatabase(server.id);
      await connection.query(
        `CREATE DATABASE ${name}; USE ${name}; ${MESSAGE_SCHEMA}; USE ${quote(database)}`,
      );
    }
  } finally {
    await connection.end();
  }
  return { db, database, messageDatabasePrefix: prefix, servers: options.servers, messageDatabase };
}

export interface Reader {
  user: string;
  password: string;
}

/** The read-only user that Headway should be given: SELECT on Postal's databases and nothing else. */
export async function createReader(
  postal: Postal,
  user = 'headway',
  password = 'read-only',
): Promise<Reader> {
  // In a GRANT, _ and % of a database name are wildcards; the message databases are meant as a pattern.
  const pattern = `${postal.messageDatabasePrefix.replaceAll(/[_%]/g, '\\$&')}%`;
  const account = `'${user}'@'%'`;
  const connection = await postal.db.connect();
  try {
    await connection.query(
      `CREATE USER ${account} IDENTIFIED BY '${password}';
       GRANT SELECT ON ${quote(postal.database)}.* TO ${account};
       GRANT SELECT ON ${quote(pattern)}.* TO ${account};`,
    );
  } finally {
    await connection.end();
  }
  return { user, password };
}

export interface FillOptions {
  rows: number;
  /** Ids of the servers that own the rows, in turn (default: all). */
  servers?: number[];
  /** Age of the oldest row; the newest is new (default 600,000 ms). */
  oldestAgeMs?: number;
  /** The share of rows that wait for a retry in an hour, from 0 to 1 (default 0). */
  delayedShare?: number;
}

/** Adds many rows to the queue at once (a million in seconds); they have no message behind them. */
export async function fillQueue(postal: Postal, options: FillOptions): Promise<void> {
  const servers = options.servers ?? postal.servers.map((server) => server.id);
  const connection = await postal.db.connect(postal.database);
  try {
    // With these checks off, MariaDB fills an empty InnoDB table in bulk and sorts each index once.
    await connection.query('SET unique_checks = 0, foreign_key_checks = 0');
    await connection.query(
      `INSERT INTO queued_messages
         (server_id, message_id, domain, retry_after, created_at, updated_at, attempts, batch_key)
       SELECT ELT(1 + MOD(n, ${servers.length}), ${servers.join(', ')}), n + 1,
              CONCAT('example', MOD(n, 97), '.org'),
              IF(MOD(n * 7919, 1000) < ${(options.delayedShare ?? 0) * 1000}, UTC_TIMESTAMP() + INTERVAL 1 HOUR, NULL),
              UTC_TIMESTAMP(6) - INTERVAL (${(options.oldestAgeMs ?? 600_000) * 1000} * (1 - n / ${options.rows})) MICROSECOND,
              UTC_TIMESTAMP(6), 0, CONCAT('outgoing-', MOD(n, 97))
         FROM (SELECT seq AS n FROM seq_0_to_${options.rows - 1}) numbers`,
    );
    await connection.query('ANALYZE TABLE queued_messages');
  } finally {
    await connection.end();
  }
}

/** An identifier between backticks. */
export function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** Runs `work` with a connection as root to the main database and ends the connection. */
export async function withPostal<T>(
  postal: Postal,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await postal.db.connect(postal.database);
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

const MAIN_SCHEMA = `
CREATE TABLE organizations (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid varchar(255), name varchar(255), permalink varchar(255), time_zone varchar(255),
  created_at datetime(6), updated_at datetime(6), ip_pool_id int, owner_id int,
  deleted_at datetime(6), suspended_at datetime(6), suspension_reason varchar(255),
  KEY index_organizations_on_permalink (permalink(8)),
  KEY index_organizations_on_uuid (uuid(8))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE servers (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  organization_id int, uuid varchar(255), name varchar(255), mode varchar(255), ip_pool_id int,
  created_at datetime(6), updated_at datetime(6), permalink varchar(255), send_limit int,
  deleted_at datetime(6), message_retention_days int, raw_message_retention_days int,
  raw_message_retention_size int, allow_sender tinyint(1) DEFAULT 0, token varchar(255),
  send_limit_approaching_at datetime(6), send_limit_approaching_notified_at datetime(6),
  send_limit_exceeded_at datetime(6), send_limit_exceeded_notified_at datetime(6),
  spam_threshold decimal(8,2), spam_failure_threshold decimal(8,2), postmaster_address varchar(255),
  outbound_spam_threshold decimal(8,2), domains_not_to_click_track text, log_smtp_data tinyint(1) DEFAULT 0,
  suspended_at datetime(6), suspension_reason varchar(255), privacy_mode tinyint(1) DEFAULT 0,
  KEY index_servers_on_organization_id (organization_id),
  KEY index_servers_on_permalink (permalink(6)),
  KEY index_servers_on_token (token(6)),
  KEY index_servers_on_uuid (uuid(8))
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE queued_messages (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  server_id int, message_id int, domain varchar(255), locked_by varchar(255), locked_at datetime(6),
  retry_after datetime, created_at datetime(6), updated_at datetime(6), ip_address_id int,
  attempts int DEFAULT 0, route_id int, manual tinyint(1) DEFAULT 0, batch_key varchar(255),
  KEY index_queued_messages_on_domain (domain(8)),
  KEY index_queued_messages_on_message_id (message_id),
  KEY index_queued_messages_on_server_id (server_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE worker_roles (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  role varchar(255), worker varchar(255), acquired_at datetime,
  UNIQUE KEY index_worker_roles_on_role (role)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE scheduled_tasks (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name varchar(255), next_run_after datetime,
  UNIQUE KEY index_scheduled_tasks_on_name (name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
CREATE TABLE webhook_requests (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  server_id int, webhook_id int, url varchar(255), event varchar(255), uuid varchar(255), payload text,
  attempts int DEFAULT 0, retry_after datetime(6), error text, created_at datetime(6),
  locked_by varchar(255), locked_at datetime,
  KEY index_webhook_requests_on_locked_by (locked_by),
  KEY index_webhook_requests_on_uuid (uuid)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC`;

const MESSAGE_SCHEMA = `
CREATE TABLE messages (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  token varchar(255), scope varchar(10), rcpt_to varchar(255), mail_from varchar(255), subject varchar(255),
  message_id varchar(255), timestamp decimal(18,6), route_id int, domain_id int, credential_id int,
  status varchar(255), held tinyint(1) DEFAULT 0, size varchar(255), last_delivery_attempt decimal(18,6),
  raw_table varchar(255), raw_body_id int, raw_headers_id int, inspected tinyint(1) DEFAULT 0,
  spam tinyint(1) DEFAULT 0, spam_score decimal(8,2) DEFAULT 0, threat tinyint(1) DEFAULT 0,
  threat_details varchar(255), bounce tinyint(1) DEFAULT 0, bounce_for_id int DEFAULT 0, tag varchar(255),
  loaded decimal(18,6), clicked decimal(18,6), received_with_ssl tinyint(1), hold_expiry decimal(18,6),
  tracked_links int DEFAULT 0, tracked_images int DEFAULT 0, parsed tinyint(4) DEFAULT 0, endpoint_id int,
  endpoint_type varchar(255),
  KEY on_message_id (message_id(8)),
  KEY on_token (token(6)),
  KEY on_bounce_for_id (bounce_for_id),
  KEY on_held (held),
  KEY on_scope_and_status (scope(1), spam, status(6), timestamp),
  KEY on_scope_and_tag (scope(1), spam, tag(8), timestamp),
  KEY on_scope_and_spam (scope(1), spam, timestamp),
  KEY on_scope_and_thr_status (scope(1), threat, status(6), timestamp),
  KEY on_scope_and_threat (scope(1), threat, timestamp),
  KEY on_rcpt_to (rcpt_to(12), timestamp),
  KEY on_mail_from (mail_from(12), timestamp),
  KEY on_raw_table (raw_table(14)),
  KEY on_status (status(8))
) ENGINE=InnoDB;
CREATE TABLE deliveries (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  message_id int, status varchar(255), code int, output varchar(512), details varchar(512),
  sent_with_ssl tinyint(1) DEFAULT 0, log_id varchar(100), timestamp decimal(18,6), time decimal(8,2),
  KEY on_message_id (message_id)
) ENGINE=InnoDB;
CREATE TABLE live_stats (
  type varchar(20) NOT NULL, minute int NOT NULL, count int, timestamp decimal(18,6),
  PRIMARY KEY (minute, type(8))
) ENGINE=InnoDB;
CREATE TABLE stats_hourly (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
  time int, incoming bigint, outgoing bigint, spam bigint, bounces bigint, held bigint,
  UNIQUE KEY on_time (time)
) ENGINE=InnoDB`;
