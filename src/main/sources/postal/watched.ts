// What lives on Postal's queue: its claim, and what Headway reads.
import { quoteName } from '../mysql-errors.ts';
import type { WatchedTables } from '../health/watched-tables.ts';
import { heads } from './sql.ts';

export function watchedTables(database: string, index: string): WatchedTables {
  const queue = `${quoteName(database)}.queued_messages`;
  const lock = `locked_by = 'host:h pid:1 thread:1 0123456789abcdef', locked_at = '2026-01-01 00:00:00'`;
  return {
    tables: [queue],
    statements: [
      {
        name: 'Postal’s claim',
        sql: `UPDATE ${queue} SET ${lock}
 WHERE (ip_address_id IS NULL) AND locked_by IS NULL AND locked_at IS NULL
   AND (retry_after IS NULL OR retry_after < UTC_TIMESTAMP() - INTERVAL 30 SECOND)
 LIMIT 1`,
        wants: [],
      },
      {
        name: 'Postal’s look for what it has just claimed',
        sql: `SELECT * FROM ${queue} WHERE ${lock.replace(', ', ' AND ')}`,
        wants: [
          {
            table: queue,
            columns: ['locked_by', 'locked_at'],
            where: null,
            why: 'After each claim the worker looks for its rows by locked_by and locked_at, and reads the whole queue for want of an index',
          },
        ],
      },
      { name: 'Headway’s poll of one server', own: true, sql: heads(index, [1], 201).trim(), wants: [] },
    ],
  };
}
