// How a poll of a mapped table reads PostgreSQL: groups as arrays in a few statements, whose text is the same at each poll.
import { z } from 'zod';
import { atLeast, exact } from '../../../../core/count.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import type { PollDatabase } from './jobs-poll.ts';
import { HEAD_ROWS, type Group, type JobsIndex, type JobsTable } from './mapping-sql.ts';
import * as sql from './postgres-sql.ts';
import { countedRow, type CountedRow } from './tenant-samples.ts';

const groupRow = z.object({ place: z.number(), tenant: z.string(), ends_later: z.boolean() });
const depthRow = z.object({ tenant: z.string(), seen: z.int(), later: z.int() });

/** A statement looks into so many groups, to stay within its time limit. */
const GROUPS_PER_STATEMENT = 2_500;

/** `tenantType`: of the tenant's column. */
export function postgresPoll(
  table: JobsTable,
  index: JobsIndex,
  tenantType: string,
): PollDatabase<PostgresSession> {
  const groups = sql.groups(table, index);
  const heads = sql.heads(table, index, tenantType);
  const depths = sql.depths(table, index, tenantType);
  const column = <K extends keyof Group>(some: readonly Group[], name: K) => some.map((group) => group[name]);
  return {
    groups: (on, signal) => on.rows(groupRow, groups, signal),
    async heads(on, asked, most, signal) {
      const rows: CountedRow[] = [];
      for (let at = 0; at < asked.length; at += GROUPS_PER_STATEMENT) {
        const some = asked.slice(at, at + GROUPS_PER_STATEMENT);
        const [places, tenants] = [column(some, 'place'), column(some, 'tenant')];
        const parameters = [places, tenants, column(some, 'ends_later'), most];
        rows.push(...(await on.rows(countedRow, heads, signal, parameters)));
      }
      return rows;
    },
    depths: index.byReadyAt
      ? async (on, asked, signal) => {
          const parameters = [column(asked, 'place'), column(asked, 'tenant')];
          const rows = await on.rows(depthRow, depths, signal, parameters);
          return rows.map(({ tenant, seen, later }) => {
            const count = seen < HEAD_ROWS.most ? exact : atLeast;
            // The row that tells of more is not counted.
            return {
              tenant,
              ready: count(Math.min(seen - later, HEAD_ROWS.most - 1)),
              delayed: count(Math.min(later, HEAD_ROWS.most - 1)),
            };
          });
        }
      : null,
  };
}
