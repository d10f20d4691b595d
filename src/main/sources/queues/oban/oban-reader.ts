// Oban: jobs by queue. Facts of its schema are from its migrations 10 to 15 (2.4 to 2.23). A prefix of Oban is a schema.
import { z } from 'zod';
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
import { obanCapabilities } from './capabilities.ts';
import * as sql from './sql.ts';

/** Oban 2.4, the first in which every job has a priority. */
const OLDEST_VERSION = 10;
/** Oban 2.23. */
const KNOWN_VERSION = 15;
/** What Lifeline rescues an executing job after, unless it was told otherwise. */
const RESCUE_AFTER_MS = 3_600_000;
/** A leading node renews its term of so long every 15 s. */
const LEADER_TERM_MS = 30_000;

const STATES = [
  ...['available', 'suspended', 'scheduled', 'executing', 'retryable', 'completed', 'discarded', 'cancelled'],
];
const NEEDED_COLUMNS = [
  ...['id', 'state', 'queue', 'priority', 'scheduled_at', 'attempt', 'max_attempts', 'worker', 'inserted_at'],
  ...['attempted_at', 'attempted_by', 'completed_at', 'discarded_at', 'cancelled_at'],
];
const INSTALL = 'Oban makes its tables by Oban.Migration.up(), with its prefix as the schema.';

const peerRow = z.object({
  name: z.string(),
  node: z.string(),
  started_at: z.number(),
  expires_at: z.number(),
  current: z.boolean(),
});

/** Looks for Oban in `schema` and reads it once. Rejects with `schema-mismatch` where it is not there, or is too old. */
export async function inspectOban(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const found = await findTables(
    session,
    { schema, jobs: 'oban_jobs', others: ['oban_peers'], stateType: 'oban_job_state' },
    signal,
  );
  const version = versionOf(found);
  if (version !== null && version < OLDEST_VERSION) {
    throw new HeadwayError(
      'schema-mismatch',
      `Schema ${quotePgName(schema)} is of Oban's migration ${version}; ${OLDEST_VERSION} (Oban 2.4) or later is needed. Upgrade Oban.`,
    );
  }
  const jobs = requireJobs(found, {
    ...{ system: 'Oban', jobs: 'oban_jobs', columns: NEEDED_COLUMNS, install: INSTALL },
    labels: STATES.filter((state) => state !== 'suspended'),
  });
  const peers = readableOther(found, 'oban_peers', 'which node leads is not seen');
  const table = stateTable(found, jobs);
  return StateIndexReader.open(
    {
      table,
      system: version === null ? 'Oban' : `Oban (migration ${version})`,
      claimOrder: 'within each queue by priority, then by scheduled time, then by id',
      capabilities: obanCapabilities,
      warnings: [
        ...hiddenWarnings(found),
        ...versionWarnings(version, found),
        ...unknownLabelWarnings(found, STATES),
        ...(peers.warning === null ? [] : [peers.warning]),
        ...(hasMainIndex(found) || jobs.bytes > SCANNED_BYTES
          ? []
          : [
              `Oban's index for claims is missing, so that each poll, as each claim, reads all jobs: ${mainIndex(table)}.`,
            ]),
      ],
      notes: {
        absent: {
          held: 'This Oban is older than 2.21, which brought suspended jobs.',
          blocked: 'Oban’s jobs do not wait for others; suspended ones are listed as held.',
        },
        present: { dead: 'The pruner deletes discarded jobs, by default after a minute.' },
      },
      locks: {
        rule: 'An executing job has no lease and no heartbeat. Where Lifeline runs, the leading node makes it available after 60 min (its default), or discards it when its attempts are used up; elsewhere it stays for ever.',
        // Lifeline runs only where it was asked for, which the database does not tell.
        isTakenBack: false,
      },
      watched: sql.watched(table, found.relations.has('oban_peers')),
      canPoll: hasMainIndex(found) || jobs.bytes <= SCANNED_BYTES,
      surroundings: (on, until) => readSurroundings(on, schema, peers.readable, until),
    },
    session,
    signal,
  );
}

/** Oban keeps its version in the comment of its table; null where that says something else. */
function versionOf({ relations }: FoundTables): number | null {
  const comment = relations.get('oban_jobs')?.comment ?? '';
  return /^\d{1,6}$/.test(comment) ? Number(comment) : null;
}

function versionWarnings(version: number | null, { relations, labels }: FoundTables): string[] {
  if (version === null) {
    return [
      'The comment of oban_jobs, in which Oban keeps its version, holds none; Oban would run all of its migrations anew. Set it back with COMMENT ON TABLE.',
    ];
  }
  const lacking = [
    ...(version >= 11 && !relations.has('oban_peers') ? ['table oban_peers'] : []),
    ...(version >= 14 && !labels.includes('suspended') ? ['state suspended'] : []),
  ];
  return [
    ...(version > KNOWN_VERSION
      ? [
          `Its migration ${version} is newer than ${KNOWN_VERSION}, the last that Headway knows: check the numbers, and look for a newer Headway.`,
        ]
      : []),
    ...(lacking.length > 0
      ? [
          `Migration ${version} is recorded, but ${lacking.join(' and ')} missing: it is half migrated. Run Oban.Migration.up() again.`,
        ]
      : []),
  ];
}

function stateTable(found: FoundTables, jobs: Relation): StateTable {
  return {
    system: 'Oban',
    schema: found.schema,
    tableName: 'oban_jobs',
    stateType: 'oban_job_state',
    states: {
      available: 'available',
      waiting: ['retryable', 'scheduled'],
      running: 'executing',
      dead: 'discarded',
      completed: 'completed',
      blocked: null,
      held: found.labels.includes('suspended') ? 'suspended' : null,
    },
    doneWords: ['completed', 'cancelled'],
    columns: {
      createdAt: 'inserted_at',
      kind: 'worker',
      args: 'args',
      diedAt: 'discarded_at',
      endedAt: sql.ENDED_AT,
    },
    claimsDueOnly: false,
    now: sql.NOW,
    readyAt: sql.READY_AT,
    claimable: 'j.attempt < j.max_attempts',
    owner: `array_to_string(j.attempted_by, ' ')`,
    staleAfterMs: RESCUE_AFTER_MS,
    hasDiedIndex: hasIndex(found, ['state', 'discarded_at']),
    hasEndedIndex: false,
    readable: jobs.columns.filter(({ readable }) => readable),
  };
}

async function readSurroundings(
  session: PostgresSession,
  schema: string,
  readsPeers: boolean,
  signal: AbortSignal,
): Promise<Surroundings> {
  const peers = readsPeers ? await session.rows(peerRow, sql.peers(schema), signal) : [];
  const [leader] = peers;
  return {
    // A pause is a signal to the nodes, which keep it to themselves.
    queues: [],
    leaderSeenAtMs: leader ? Math.max(leader.started_at, leader.expires_at - LEADER_TERM_MS) : null,
    mover: moverOf(leader),
  };
}

function moverOf(leader: z.infer<typeof peerRow> | undefined): string {
  if (leader === undefined) {
    return 'The leading node does that every second, and none is elected through the database: look whether a node runs, or leads by other means.';
  }
  return leader.current
    ? `The leading node ${leader.node} does that every second: look at its log.`
    : `The leading node ${leader.node} did that until its term ended, and none was elected since: start a node.`;
}
