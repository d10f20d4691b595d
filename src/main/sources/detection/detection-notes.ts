// A detection put together from what was recognised: order, and what was looked for in vain. Pure.
import type { DetectedQueue, Detection } from '../../../contract/detection.ts';
import type { DatabaseType } from '../../../contract/queue-systems.ts';
import { candidateOf, CANDIDATES, rankedCandidates } from './candidate-tables.ts';
import { nameOf, type FoundTable } from './found-table.ts';
import { namesOf } from './column-roles.ts';
import { belongsTo, type Recognised } from './recognise.ts';
import { signaturesOf } from './signatures.ts';

/** Systems told at most: a database may have one a customer. */
const SYSTEMS = 100;

export interface Findings {
  server: string;
  database: DatabaseType;
  tables: readonly FoundTable[];
  /** Whether there were more tables than were looked at. */
  more: boolean;
  recognised: readonly Recognised[];
  /** As recognised, with versions. */
  systems: readonly DetectedQueue[];
  /** What could not be seen. */
  notes: readonly string[];
}

export function detectionOf(findings: Findings): Detection {
  const { server, database, tables, more, recognised, systems, notes } = findings;
  const candidates = rankedCandidates(tables.filter((table) => !belongsTo(recognised, table)));
  const queues = [
    ...systems.slice(0, SYSTEMS),
    ...candidates.slice(0, CANDIDATES).map(({ table, problems }): DetectedQueue => {
      const { schema, name } = table;
      return { system: 'jobs-table', name: 'Jobs table', schema, table: name, version: null, problems };
    }),
  ];
  return {
    server,
    // Those that are whole first; the sort is stable.
    queues: queues.sort((a, b) => Math.min(1, a.problems.length) - Math.min(1, b.problems.length)),
    notes: [
      ...(systems.length > SYSTEMS
        ? [`${systems.length} queue systems were found; ${SYSTEMS} are shown.`]
        : []),
      ...(candidates.length > CANDIDATES
        ? [
            `${candidates.length} tables look like jobs; the ${CANDIDATES} likeliest are shown. Any other can be named.`,
          ]
        : []),
      ...(more
        ? [`Only ${tables.length.toLocaleString('en')} tables of such names and columns were looked at.`]
        : []),
      ...(queues.length === 0 ? [inVain(database), nearest(tables)] : []),
      ...notes,
    ],
  };
}

function inVain(database: DatabaseType): string {
  const names = [...new Set(signaturesOf(database).map(({ name }) => name))];
  const places = database === 'postgres' ? 'any schema' : 'this database';
  return `None of these was found in ${places}: ${names.join(', ')}; nor a table with a state, a time and signs of a worker.`;
}

function nearest(tables: readonly FoundTable[]): string {
  const near = tables.filter(({ kind }) => kind === 'table').slice(0, 3);
  if (near.length === 0)
    return 'No table comes near to one. Check that this is the database that the workers use.';
  const parts = near.map((table) => {
    const lacks = candidateOf(table) === null ? lacking(table) : 'nothing';
    return `${nameOf(table)} (it lacks ${lacks})`;
  });
  return `The nearest: ${parts.join(', ')}.`;
}

function lacking({ columns }: FoundTable): string {
  const has = (role: Parameters<typeof namesOf>[0]) =>
    columns.some(({ name }) => namesOf(role).includes(name.toLowerCase()));
  if (!has('state') && !has('lockedAt') && !has('finishedAt')) return 'a column of states';
  if (!has('createdAt')) return 'the time of creation';
  return 'signs of a worker, as attempts or a lock';
}

/** Regular expressions of both databases: columns that say of a state, and of a worker. */
export const STATE_COLUMN = '(^|_)(status|state)$';
export const WORKER_COLUMN =
  '^(attempts?|attempt_count|attempts_made|retry_count|retries|tries|num_attempts|error_count|failures|max_attempts|max_retries|' +
  'last_error|error|error_message|last_error_message|failure_reason|exception|locked_(at|by)|reserved_at|claimed_(at|by)|' +
  'leased_(at|by)|worker(_id)?|heartbeat(_at)?|last_heartbeat(_at)?|run_at|scheduled_(at|for)|available_at|not_before|' +
  'next_(run|attempt|retry)_at|retry_(at|after)|started_at|finished_at|completed_at|processed_at|failed_at|expired_at|' +
  'payload|args|arguments|job_(type|class|name|kind|status|state)|task_(type|name|status|state)|queue(_name)?|is_processed|processed)$';
