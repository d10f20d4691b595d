// River: jobs by queue. Facts of its schema are from its migrations 2 to 8 (0.0.1 to 0.44).
import { z } from 'zod';
import type { TenantSample } from '../../../../core/sample.ts';
import { HeadwayError } from '../../../../contract/errors.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import type { QueueReader } from '../queue-reader.ts';
import {
  findTables,
  hasIndex,
  hasMainIndex,
  hiddenWarnings,
  readableOther,
  requireJobs,
  SCANNED_BYTES,
  unknownLabelWarnings,
  type FoundTables,
  type Relation,
} from '../state-index/found-tables.ts';
import { StateIndexReader, type Surroundings } from '../state-index/state-index-reader.ts';
import { mainIndex, type StateTable } from '../state-index/state-table.ts';
import { riverCapabilities, withoutQueues } from './capabilities.ts';
import * as sql from './sql.ts';

/** The newest migration that this reader was checked against; on PostgreSQL it changes nothing. */
const KNOWN_VERSION = 8;
/** What River rescues a running job after, unless it was told otherwise. */
const RESCUE_AFTER_MS = 3_600_000;
/** A leader renews its term of so long every 5 s. */
const LEADER_TERM_MS = 15_000;

const STATES = [
  'available',
  'cancelled',
  'completed',
  'discarded',
  'pending',
  'retryable',
  'running',
  'scheduled',
];
const NEEDED_COLUMNS = [
  ...['id', 'state', 'queue', 'priority', 'scheduled_at', 'attempt', 'max_attempts', 'kind'],
  ...['attempted_at', 'attempted_by', 'created_at', 'finalized_at'],
];
const INSTALL = 'River makes its tables by `river migrate-up`.';

const versionRow = z.object({ version: z.int().nullable() });
const queueRow = z.object({ name: z.string(), paused_at: z.number().nullable() });
const leaderRow = z.object({
  leader_id: z.string(),
  elected_at: z.number(),
  expires_at: z.number(),
  current: z.boolean(),
});

/** Looks for River in `schema` and reads it once. Rejects with `schema-mismatch` where it is not there, or not whole. */
export async function inspectRiver(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const others = ['river_queue', 'river_leader', 'river_migration'];
  const found = await findTables(
    session,
    { schema, jobs: 'river_job', others, stateType: 'river_job_state' },
    signal,
  );
  const jobs = requireJobs(found, {
    ...{ system: 'River', jobs: 'river_job', columns: NEEDED_COLUMNS, install: INSTALL },
    labels: STATES.filter((state) => state !== 'pending'),
  });
  const version = await readVersion(session, found, signal);
  const hasQueues = found.relations.has('river_queue');
  if (!hasQueues && version !== null && version >= 4) {
    throw new HeadwayError(
      'schema-mismatch',
      `River's migration ${version} is recorded in schema ${quotePgName(schema)}, but its table river_queue is missing: it is half migrated. Run \`river validate\` and \`river migrate-up\`.`,
    );
  }
  const queues = readableOther(found, 'river_queue', 'pauses are not seen');
  const leader = readableOther(found, 'river_leader', 'whether River has a leader is not seen');
  const table = stateTable(found, jobs);
  return StateIndexReader.open(
    {
      table,
      system: version === null ? 'River' : `River (migration ${version})`,
      claimOrder: 'within each queue by priority, then by scheduled time, then by id',
      capabilities: hasQueues ? riverCapabilities : withoutQueues,
      warnings: [
        ...hiddenWarnings(found),
        ...versionWarnings(version, found),
        ...unknownLabelWarnings(found, STATES),
        ...[queues.warning, leader.warning].filter((warning) => warning !== null),
        ...(hasMainIndex(found) || jobs.bytes > SCANNED_BYTES
          ? []
          : [
              `River's index for claims is missing, so that each poll, as each claim, reads all jobs: ${mainIndex(table)}.`,
            ]),
      ],
      notes: {
        absent: {
          held: 'River holds no single jobs back; a queue can be paused.',
          blocked: 'This River is older than 0.5, which brought pending jobs.',
        },
        present: { dead: 'River deletes discarded jobs after 7 days.' },
      },
      locks: {
        rule: 'A running job has no lease and no heartbeat. After 1 h (its default, which a client or a worker may set otherwise) River’s leader makes it retryable, or discards it when its attempts are used up.',
        isTakenBack: true,
      },
      watched: sql.watched(table),
      canPoll: hasMainIndex(found) || jobs.bytes <= SCANNED_BYTES,
      surroundings: (on, until) => readSurroundings(on, schema, { queues, leader }, until),
    },
    session,
    signal,
  );
}

/** Null where somebody migrates River with tools of their own, or where it may not be read. */
async function readVersion(
  session: PostgresSession,
  { schema, relations }: FoundTables,
  signal: AbortSignal,
): Promise<number | null> {
  const migrations = relations.get('river_migration');
  if (migrations === undefined || !migrations.columns.every(({ readable }) => readable)) return null;
  const hasLine = migrations.columns.some(({ name }) => name === 'line');
  return (await session.row(versionRow, sql.version(schema, hasLine), signal)).version;
}

function versionWarnings(version: number | null, { relations, labels }: FoundTables): string[] {
  if (version === null) return [];
  const columns = new Set(relations.get('river_job')?.columns.map(({ name }) => name));
  const lacking = [
    ...(version >= 4 && !labels.includes('pending') ? ['state pending'] : []),
    ...(version >= 5 && !columns.has('unique_key') ? ['column unique_key'] : []),
    ...(version >= 6 && !columns.has('unique_states') ? ['column unique_states'] : []),
  ];
  return [
    ...(version > KNOWN_VERSION
      ? [
          `Its migration ${version} is newer than ${KNOWN_VERSION}, the last that Headway knows: check the numbers, and look for a newer Headway.`,
        ]
      : []),
    ...(lacking.length > 0
      ? [
          `Migration ${version} is recorded, but ${lacking.join(' and ')} missing: it is half migrated. Run \`river validate\` and \`river migrate-up\`.`,
        ]
      : []),
  ];
}

function stateTable(found: FoundTables, jobs: Relation): StateTable {
  const readable = jobs.columns.filter((column) => column.readable);
  return {
    system: 'River',
    schema: found.schema,
    tableName: 'river_job',
    stateType: 'river_job_state',
    states: {
      available: 'available',
      waiting: ['retryable', 'scheduled'],
      running: 'running',
      dead: 'discarded',
      completed: 'completed',
      blocked: found.labels.includes('pending') ? 'pending' : null,
      held: null,
    },
    doneWords: ['completed', 'cancelled'],
    columns: {
      createdAt: 'created_at',
      kind: 'kind',
      args: 'args',
      diedAt: 'finalized_at',
      endedAt: 'j.finalized_at',
    },
    claimsDueOnly: true,
    now: 'now()',
    readyAt: sql.readyAt(readable.some(({ name }) => name === 'metadata')),
    claimable: 'true',
    owner: 'j.attempted_by[array_upper(j.attempted_by, 1)]',
    staleAfterMs: RESCUE_AFTER_MS,
    hasDiedIndex: hasFinalizedIndex(found),
    hasEndedIndex: hasFinalizedIndex(found),
    readable,
  };
}

const hasFinalizedIndex = (found: FoundTables): boolean =>
  hasIndex(found, ['state', 'finalized_at'], '(finalized_at IS NOT NULL)');

async function readSurroundings(
  session: PostgresSession,
  schema: string,
  { queues, leader }: Record<'queues' | 'leader', { readable: boolean }>,
  signal: AbortSignal,
): Promise<Surroundings> {
  const rows = queues.readable ? await session.rows(queueRow, sql.queues(schema), signal) : [];
  const [elected] = leader.readable ? await session.rows(leaderRow, sql.leader(schema), signal) : [];
  return {
    queues: rows.map(({ name, paused_at }) => ({ name, paused: pausedSince(paused_at) })),
    leaderSeenAtMs: elected ? Math.max(elected.elected_at, elected.expires_at - LEADER_TERM_MS) : null,
    mover: moverOf(elected, leader.readable),
  };
}

/** Who paused a queue is not kept. */
const pausedSince = (sinceMs: number | null): TenantSample['paused'] =>
  sinceMs === null ? null : { by: 'River', sinceMs, reason: '' };

function moverOf(elected: z.infer<typeof leaderRow> | undefined, isSeen: boolean): string {
  if (!isSeen) return 'Its leader does that every 5 s; whether there is one is not seen.';
  if (elected === undefined) return 'Its leader does that every 5 s, and none is elected: start a client.';
  return elected.current
    ? `Its leader ${elected.leader_id} does that every 5 s: look at its log.`
    : `Its leader ${elected.leader_id} did that until its term ended, and none was elected since: start a client.`;
}
