// The looks at the made-up queues, by connection. Those of engines are not told, as long as the real ones are not.
import type { MethodHandlers } from '../../../src/contract/api.ts';
import { HeadwayError } from '../../../src/contract/errors.ts';
import type { ConnectionSummary, TenantRow } from '../../../src/contract/live.ts';
import { bossAbilities, postalAbilities } from './abilities-play.ts';
import { mariaDbAdvice, mariaDbHealth, postgresAdvice, postgresHealth } from './database-play.ts';
import { JobsPlay } from './jobs-play.ts';
import type { JobsPlayOptions } from './jobs-play.ts';

const postalJobs: JobsPlayOptions = {
  ids: 'number',
  kinds: null,
  foreign: {
    dead: 'Postal keeps no queue row of mail that failed for good: see the messages of the server in its web page.',
    held: 'Held messages have no row in the queue: they are in the message database of the server, cancelled after 7 days.',
    blocked: 'No message waits for another one.',
  },
  words: { running: 'locked', delayed: 'retrying' },
  maxAttempts: 18,
  rule: 'A worker locks a message, and up to 100 of the same batch with it. An hourly task deletes a message whose lock is older than a day: the mail is lost.',
  lockMs: 24 * 3_600_000,
};
const bossJobs: JobsPlayOptions = {
  ids: 'uuid',
  kinds: ['invoice.send', 'invoice.render', 'ledger.sync'],
  foreign: {
    held: 'pg-boss holds no jobs back.',
    blocked: 'pg-boss knows no jobs that wait for others.',
  },
  words: { ready: 'created', running: 'active', delayed: 'retry', dead: 'failed' },
  maxAttempts: 3,
  rule: 'A fetch sets a job active. The supervisor fails it once it has been active for longer than expire_seconds, 15 min unless told otherwise.',
  lockMs: 900_000,
};

type LookMethods = Pick<
  MethodHandlers,
  'queue.capabilities' | 'queue.jobs' | 'queue.job' | 'queue.locks' | 'queue.health' | 'queue.indexAdvice'
>;

/** `find`: a connection with its tenants' rows as they are now; throws when there is none. */
export function lookPlay(
  find: (connectionId: string) => { connection: ConnectionSummary; rows: () => TenantRow[] },
  startedAtMs: number,
): LookMethods {
  const plays = new Map<string, JobsPlay>();
  /** A queue's play; others fail as in the backend. */
  function look<T>(connectionId: string, tell: (jobs: JobsPlay, isPostal: boolean) => T): Promise<T> {
    const { connection, rows } = find(connectionId);
    if (connection.kind === 'engine' || connection.kind === 'local-engine')
      throw new HeadwayError('internal', `${connection.name} does not tell this of its engine yet.`);
    if (connection.state.kind === 'unreachable')
      throw new HeadwayError('unreachable', connection.state.error.message, { retryable: true });
    const isPostal = connection.kind === 'postal';
    const jobs = plays.get(connectionId) ?? new JobsPlay(isPostal ? postalJobs : bossJobs, rows, startedAtMs);
    plays.set(connectionId, jobs);
    return Promise.resolve(tell(jobs, isPostal));
  }
  return {
    'queue.capabilities': ({ connectionId }) =>
      look(connectionId, (_, isPostal) => (isPostal ? postalAbilities : bossAbilities)),
    'queue.jobs': ({ connectionId, ...query }) => look(connectionId, (jobs) => jobs.page(query, Date.now())),
    'queue.job': ({ connectionId, id }) => look(connectionId, (jobs) => jobs.job(id, Date.now())),
    'queue.locks': ({ connectionId, ...query }) =>
      look(connectionId, (jobs) => jobs.locks(query, Date.now())),
    'queue.health': ({ connectionId }) =>
      look(connectionId, (_, isPostal) =>
        (isPostal ? mariaDbHealth : postgresHealth)(startedAtMs, Date.now()),
      ),
    'queue.indexAdvice': ({ connectionId }) =>
      look(connectionId, (_, isPostal) => (isPostal ? mariaDbAdvice : postgresAdvice)),
  };
}
