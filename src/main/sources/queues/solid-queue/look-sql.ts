// Every statement of a look into Solid Queue, with the index each walks. All are reads, and all hold on both databases.
import { PAYLOAD_SHOWN_CHARS } from '../../../../core/shown-payload.ts';
import type { Dialect } from './dialect.ts';
import type { Cursor } from './look-rows.ts';

/** Characters that are read of an error, which is JSON with its backtrace last. */
const ERROR_READ = 10_000;
/** The end of the arguments, where Active Job writes how often it was run. */
const TAIL = 'RIGHT(j.arguments, 1000)';
/** Earlier attempts that are told. */
export const ATTEMPTS = 50;

type Place = 'ready' | 'scheduled' | 'claimed' | 'blocked' | 'failed';
type After<L extends Cursor['list']> = Extract<Cursor, { list: L }> | null;

/** A job with its place: `x` is its row in an execution table, `j` the job, `p` the process that claimed it. */
function columns(d: Dialect, place: Place, hasNames: boolean): string {
  const isClaimed = place === 'claimed';
  const process = (column: string) => (isClaimed ? d.asText(`p.${column}`) : d.asText('NULL'));
  const due = place === 'scheduled';
  // Claims and failures have no priority of their own.
  const named = !isClaimed && place !== 'failed';
  return `'${place}' AS place, ${d.asText('x.id')} AS row_id, ${due ? d.asText('x.scheduled_at') : d.asText('NULL')} AS due_text,
         ${d.asText('j.id')} AS id, j.queue_name, j.class_name, ${d.number(named ? 'x.priority' : 'j.priority')} AS priority,
         ${d.ms('j.created_at')} AS created_at, ${d.ms('x.created_at')} AS placed_at,
         ${due ? d.ms('x.scheduled_at') : d.number('NULL')} AS due_at, ${d.ms('j.finished_at')} AS finished_at,
         ${isClaimed ? d.asText('x.process_id') : d.asText('NULL')} AS process_id,
         ${hasNames ? process('name') : d.asText('NULL')} AS process_name, ${process('hostname')} AS process_host,
         ${process('pid')} AS process_pid, ${isClaimed ? d.ms('p.last_heartbeat_at') : d.number('NULL')} AS beat_at,
         ${place === 'failed' ? d.left('x.error', ERROR_READ) : d.asText('NULL')} AS error, ${TAIL} AS tail, ${d.clockMs} AS now`;
}

const from = (d: Dialect, place: Place): string => `
    FROM ${d.table(`${place}_executions`)} x
    JOIN ${d.table('jobs')} j ON j.id = x.job_id${
      place === 'claimed' ? `\n    LEFT JOIN ${d.table('processes')} p ON p.id = x.process_id` : ''
    }`;

export interface Look {
  dialect: Dialect;
  /** Whether processes have names (since 0.6). */
  hasNames: boolean;
}

interface Page<L extends Cursor['list']> {
  tenantId: string | null;
  after: After<L>;
  limit: number;
}

const where = (conditions: readonly string[]): string =>
  conditions.length === 0 ? '' : `\n   WHERE ${conditions.join(' AND ')}`;

/**
 * Jobs in the order in which their rows were written. Walks: the primary key of the execution table; of one queue's jobs past those of
 * others, or the index by queue and sorts. Claims and failures name no queue: their jobs are looked up.
 */
export function byRow(
  { dialect: d, hasNames }: Look,
  place: 'ready' | 'claimed' | 'blocked' | 'failed',
  { tenantId, after, limit }: Page<'ready' | 'running' | 'blocked' | 'dead'>,
): string {
  const newestFirst = place === 'failed';
  const owner = place === 'ready' || place === 'blocked' ? 'x' : 'j';
  return `
  SELECT ${columns(d, place, hasNames)}${from(d, place)}${where([
    ...(after === null ? [] : [`x.id ${newestFirst ? '<' : '>'} ${after.id}`]),
    ...(tenantId === null ? [] : [`${owner}.queue_name = ${d.text(tenantId)}`]),
  ])}
   ORDER BY x.id${newestFirst ? ' DESC' : ''}
   LIMIT ${limit}`;
}

/** Scheduled jobs whose time has come, or has not. Walks: (scheduled_at, priority, job_id); of one queue's jobs past those of others. */
export function byTime(
  { dialect: d, hasNames }: Look,
  which: 'due' | 'delayed',
  { tenantId, after, limit }: Page<'due' | 'delayed'>,
): string {
  return `
  SELECT ${columns(d, 'scheduled', hasNames)}${from(d, 'scheduled')}${where([
    `x.scheduled_at ${which === 'due' ? '<=' : '>'} ${d.now}`,
    ...(after === null ? [] : later(d, after)),
    ...(tenantId === null ? [] : [`x.queue_name = ${d.text(tenantId)}`]),
  ])}
   ORDER BY x.scheduled_at, x.priority, x.job_id
   LIMIT ${limit}`;
}

/** Written out, as MySQL walks no index by a comparison of rows. */
function later(d: Dialect, { at, priority, id }: NonNullable<After<'due' | 'delayed'>>): string[] {
  const time = d.text(at);
  return [
    `x.scheduled_at >= ${time}`,
    `(x.scheduled_at > ${time} OR x.priority > ${priority} OR (x.priority = ${priority} AND x.job_id > ${id}))`,
  ];
}

/** One job's row in an execution table, if it is there. Walks: the unique index of job_id. */
export const placed = ({ dialect: d, hasNames }: Look, place: Place, id: string): string => `
  SELECT ${columns(d, place, hasNames)}${from(d, place)}
   WHERE x.job_id = ${id}`;

/** A job's own columns as text, and the beginning of its arguments. Walks: the primary key. */
export const whole = (d: Dialect, names: readonly string[], id: string): string => `
  SELECT ${d.left('j.arguments', PAYLOAD_SHOWN_CHARS + 1)} AS headway_payload, ${texts(d, names, 'j')}
    FROM ${d.table('jobs')} j WHERE j.id = ${id}`;
export const wholePlace = (d: Dialect, place: Place, names: readonly string[], id: string): string => `
  SELECT ${texts(d, names, 'x')} FROM ${d.table(`${place}_executions`)} x WHERE x.job_id = ${id}`;

const texts = (d: Dialect, names: readonly string[], alias: string): string =>
  names
    .map((name) => `${d.left(d.asText(`${alias}.${d.name(name)}`), ERROR_READ)} AS ${d.name(name)}`)
    .join(', ');

/** A job in no execution table: it is done, or a transaction moves it just now, or it was lost. Walks: the primary key. */
export const unplaced = (d: Dialect, id: string): string => `
  SELECT CASE WHEN j.finished_at IS NULL THEN 'none' ELSE 'finished' END AS place, '0' AS row_id, ${d.asText('NULL')} AS due_text,
         ${d.asText('j.id')} AS id, j.queue_name, j.class_name, ${d.number('j.priority')} AS priority,
         ${d.ms('j.created_at')} AS created_at, ${d.number('NULL')} AS placed_at, ${d.number('NULL')} AS due_at,
         ${d.ms('j.finished_at')} AS finished_at, ${d.asText('NULL')} AS process_id, ${d.asText('NULL')} AS process_name,
         ${d.asText('NULL')} AS process_host, ${d.asText('NULL')} AS process_pid, ${d.number('NULL')} AS beat_at,
         ${d.asText('NULL')} AS error, ${TAIL} AS tail, ${d.clockMs} AS now
    FROM ${d.table('jobs')} j WHERE j.id = ${id}`;

/** Active Job's retry makes a new job of the same active_job_id: those before this one. Walks: (active_job_id). */
export const earlier = (d: Dialect, id: string): string => `
  SELECT ${d.ms('COALESCE(e.finished_at, f.created_at, e.created_at)')} AS at_ms, ${d.left('f.error', ERROR_READ)} AS error
    FROM ${d.table('jobs')} j
    JOIN ${d.table('jobs')} e ON e.active_job_id = j.active_job_id AND e.id < j.id
    LEFT JOIN ${d.table('failed_executions')} f ON f.job_id = e.id
   WHERE j.id = ${id}
   ORDER BY e.id DESC
   LIMIT ${ATTEMPTS}`;
