// Tables that may be queues of an application's own making, the likeliest first. Pure.
import { classOf, columnsFor, doneFlags, type Role } from './column-roles.ts';
import { nameOf, type FoundTable } from './found-table.ts';
import { snakeCase } from './state-words.ts';

/** At most so many are told. */
export const CANDIDATES = 10;

/** Signs of a worker, and what each counts. */
const signs: Partial<Record<Role, number>> = {
  attempts: 3,
  lockedBy: 2,
  lockedAt: 2,
  heartbeatAt: 2,
  maxAttempts: 2,
  readyAt: 2,
  failedAt: 1,
  startedAt: 1,
  finishedAt: 1,
  error: 2,
  payload: 1,
  kind: 1,
  queue: 1,
  priority: 1,
};
/** Orders and invoices have states and times too. */
const ENOUGH = 4;

const telling = /(^|_)(jobs?|queues?|queued|tasks?|work|works|workers?|outbox|inbox|todo)(_|$)/;

export interface Candidate {
  table: FoundTable;
  score: number;
  /** Empty: a mapping can be proposed and read as it is. */
  problems: string[];
}

/** How much a table looks like jobs; null where it has no state, or no time. */
export function candidateOf(table: FoundTable): Candidate | null {
  if (table.kind === 'other') return null;
  const { columns } = table;
  const state = columnsFor('state', columns);
  const created = columnsFor('createdAt', columns);
  const derived = ['lockedAt', 'failedAt', 'finishedAt'].some(
    (role) => columnsFor(role as Role, columns).length > 0,
  );
  const flags = doneFlags(columns);
  if (state.length === 0 && flags.length === 0 && !derived) return null;
  const times = columns.filter(({ type }) => classOf(type) === 'time');
  if (created.length === 0 && times.length === 0) return null;
  const isNamed = telling.test(snakeCase(table.name));
  const worker = Object.entries(signs).reduce(
    (sum, [role, counts]) => sum + (columnsFor(role as Role, columns).length > 0 ? counts : 0),
    0,
  );
  const score = worker + (isNamed ? 4 : 0) + (state.length > 0 ? 1 : 0);
  if (score < ENOUGH || worker < 2) return null;
  const unreadable = columns.filter(({ readable }) => !readable);
  const problems = [
    ...(table.kind === 'view'
      ? ['It is a view, whose rows cannot be walked by an index. Map the table that it shows.']
      : []),
    ...(unreadable.length === columns.length
      ? ['This account may not read it.']
      : unreadable.length > 0
        ? [`This account may not read its ${unreadable.map(({ name }) => name).join(', ')}.`]
        : []),
    ...(state.length === 0 && flags.length === 0
      ? ['It has no column of states; the proposal says how to give it one.']
      : []),
    ...(table.hidesRows ? ['Row-level security hides rows from this account.'] : []),
    ...(table.schema?.includes('.') === true
      ? [`A mapping cannot name a schema with a dot in it: ${table.schema}.`]
      : []),
  ];
  return { table, score, problems };
}

/** The likeliest first; equal ones by name. */
export function rankedCandidates(tables: readonly FoundTable[]): Candidate[] {
  return tables
    .map(candidateOf)
    .filter((candidate) => candidate !== null)
    .sort((a, b) => b.score - a.score || (nameOf(a.table) < nameOf(b.table) ? -1 : 1));
}
