// What lives on a mapped table: the questions that programs of its kind ask of it, and what Headway reads. The program's own
// statements are not known; these are those that a table of users' jobs by kind and state was found to need indexes for.
import type { ExaminedStatement, WantedIndex, WatchedTables } from '../../health/watched-tables.ts';
import { indexColumns } from './jobs-table.ts';
import { listJobs, listPlan, type LookTable } from './look-sql.ts';

/** Values of one row, as text, so that plans are those of real questions; null where there is none. */
export interface SampleValues {
  tenant: string | null;
  kind: string | null;
  batch: string | null;
}

const PAGE = 100;

/** The statement that reads them. Walks: the table until its first row. */
export function sampleValues({ name, mapping, dialect }: LookTable): string {
  const { tenant, kind, batch } = mapping;
  const text = (column: string | undefined) => (column === undefined ? 'NULL' : dialect.columnText(column));
  return `
  SELECT ${text(tenant)} AS tenant, ${text(kind)} AS kind, ${text(batch)} AS batch
    FROM ${name}
   LIMIT 1`;
}

/** `poll`: the statement of a poll, as it is sent. */
export function watchedTable(table: LookTable, poll: string, sample: SampleValues): WatchedTables {
  const own: WantedIndex = {
    table: table.name,
    columns: indexColumns(table.mapping),
    where: null,
    why: 'Without it every poll, and every list of a tenant’s waiting jobs, reads all jobs in the state or the whole table',
  };
  const statements: ExaminedStatement[] = [
    ...programStatements(table, sample),
    { name: 'Headway’s poll', own: true, sql: poll.trim(), wants: [own] },
  ];
  for (const list of ['ready', 'dead'] as const) {
    const plan = listPlan(table, list, sample.tenant !== null);
    if (plan.branches.length === 0) continue;
    const sql = listJobs(table, plan, { tenantId: sample.tenant, place: null, limit: PAGE });
    if (sql !== null)
      statements.push({ name: `Headway’s list of ${list} jobs`, own: true, sql: sql.trim(), wants: [] });
  }
  return { tables: [table.name], statements };
}

/** Those whose columns and states the mapping names. */
function programStatements(table: LookTable, sample: SampleValues): ExaminedStatement[] {
  const { name, mapping, dialect } = table;
  const { tenant, state, states, kind, heartbeatAt, attempts, maxAttempts, batch } = mapping;
  const q = dialect.name;
  const literal = (column: string, value: string | null): string =>
    [value, '0', '00000000-0000-0000-0000-000000000000', '']
      .map((each) => (each === null ? null : dialect.value(column, each)))
      .find((each) => each !== null) ?? 'NULL';
  const isIn = (values: readonly string[]): string => {
    const texts = values.map(dialect.text);
    return texts.length === 1 ? `${q(state)} = ${texts[0] ?? ''}` : `${q(state)} IN (${texts.join(', ')})`;
  };
  const live = isIn([...states.ready, ...states.running]);
  const ofTenant = `${q(tenant)} = ${literal(tenant, sample.tenant)}`;
  const select = (conditions: readonly string[], order: string | null): string =>
    `SELECT ${q(mapping.id)} FROM ${name}
 WHERE ${conditions.join(' AND ')}${order === null ? '' : `\n ORDER BY ${q(order)}`}
 LIMIT ${PAGE}`;
  const want = (columns: readonly string[], where: string, why: string): WantedIndex[] => [
    { table: name, columns, where: dialect.partialIndexes ? where : null, why },
  ];
  const statements: ExaminedStatement[] = [];
  if (kind !== undefined && heartbeatAt !== undefined) {
    statements.push({
      name: `A ${tenant}’s waiting and running jobs of one kind`,
      sql: select([ofTenant, live, `${q(kind)} = ${literal(kind, sample.kind)}`], heartbeatAt),
      wants: want(
        [tenant, state, kind, heartbeatAt],
        live,
        `A look for a ${tenant}’s jobs of one kind, as a claim and a check for stale ones take it, reads the done ones as well`,
      ),
    });
  }
  if (batch !== undefined) {
    statements.push({
      name: 'The jobs of a batch that are not done',
      sql: select([`${q(batch)} = ${literal(batch, sample.batch)}`, live, ofTenant], null),
      wants: want(
        [batch, state, tenant],
        `${q(batch)} IS NOT NULL`,
        'A look whether a batch is done reads the jobs of all batches',
      ),
    });
  }
  if (states.dead.length > 0 && attempts !== undefined && heartbeatAt !== undefined) {
    const failed = isIn(states.dead);
    const tried = `${q(attempts)} > 0`;
    const most =
      maxAttempts === undefined
        ? []
        : [`${q(attempts)} < ${typeof maxAttempts === 'number' ? String(maxAttempts) : q(maxAttempts)}`];
    statements.push({
      name: `A ${tenant}’s failed jobs that may be tried again`,
      sql: select([ofTenant, failed, tried, ...most], heartbeatAt),
      wants: want(
        [tenant, state, attempts, heartbeatAt],
        `${failed} AND ${tried}`,
        `A look for a ${tenant}’s failed jobs to try again reads all of its jobs`,
      ),
    });
  }
  return statements;
}
