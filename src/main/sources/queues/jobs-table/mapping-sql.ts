// What both dialects share of the statements on a mapped table of jobs: which rows are looked at, and what is counted of them.
import type { JobsMapping } from '../../../../contract/settings.ts';

/**
 * Rows read at one look at most (counts up to one less are exact), as long as no more than so many tenants have jobs in one state;
 * of more, the looks share a number of rows.
 */
export const HEAD_ROWS = { most: 201, tenants: 41, least: 4, inAll: 8_300 };
/** How many rows a look may read: `groups` are pairs of a tenant and a state, `tenants` the most that one state has. */
export const headRows = (groups: number, tenants: number): number =>
  tenants <= HEAD_ROWS.tenants
    ? HEAD_ROWS.most
    : Math.max(HEAD_ROWS.least, Math.min(HEAD_ROWS.most, Math.floor(HEAD_ROWS.inAll / groups)));
/** Tenants with more waiting jobs than a share whose depth one poll asks for, in turn. */
export const DEEPER_PER_POLL = 25;
/** Tenants that a poll looks at, at most. */
export const TENANTS_AT_MOST = 10_000;

/** The words of one database for what both say. */
export interface Dialect {
  /** An identifier, quoted. */
  readonly name: (identifier: string) => string;
  /** A text literal. */
  readonly text: (value: string) => string;
  /** Whole epoch ms of a time column; null stays null. */
  readonly ms: (column: string) => string;
  /** Whole epoch ms of the statement's start. */
  readonly nowMs: string;
  /** A time column in a form that compares with those of other columns, `now` and `ago`; what `msOf` makes epoch ms of. */
  readonly time: (column: string) => string;
  readonly now: string;
  readonly ago: (ms: number) => string;
  readonly msOf: (time: string) => string;
  /** A tenant as text. */
  readonly tenantText: (expression: string) => string;
  /** A number that arrives as one. */
  readonly number: (expression: string) => string;
  /** `created_at` of the row with the lowest `ready_at` among those that meet a condition, in epoch ms. */
  readonly createdOfOldest: (condition: string) => string;
  /** `locked_by` of the rows that meet a condition, as a JSON array in text; nulls may be among them. */
  readonly owners: (condition: string) => string;
}

/** An index that starts with the tenant and the state, in either order. */
export interface JobsIndex {
  name: string;
  leads: 'tenant' | 'state';
  /** Whether its next column is the time since which a job is ready. */
  byReadyAt: boolean;
}

/** The table as it was found. */
export interface JobsTable {
  /** Quoted, with its schema where one was given. */
  name: string;
  mapping: JobsMapping;
  /** The column that a ready job's place in time hangs on. */
  readyAt: { column: string; type: string; nullable: boolean };
  /** Null when none serves: then a poll reads the whole table. */
  index: JobsIndex | null;
}

/** What a look at some rows was for; its name tells which counts are incomplete when there were more rows. */
export type Look = 'ready' | 'ready-due' | 'ready-later' | 'delayed' | 'running' | 'dead' | 'all';
type JobClass = 'ready' | 'delayed' | 'running' | 'dead';

/** One look at the rows of one tenant that have one value of the state column. */
export interface Probe {
  look: Look;
  state: string;
  class: JobClass;
  rows: 'any' | 'due' | 'later' | 'without-ready-at';
}

/** The time since which a job is ready: its mapped column, or its creation. */
export const readyColumn = ({ readyAt, createdAt }: JobsMapping): string => readyAt ?? createdAt;

/** Values of the state column whose rows a poll counts. */
export function liveStates({ states }: JobsMapping): string[] {
  return [...new Set([...states.ready, ...states.delayed, ...states.running, ...states.dead])];
}

/** Values of the state column that mean anything. */
export function knownStates(mapping: JobsMapping): string[] {
  return [...new Set([...liveStates(mapping), ...mapping.states.held, ...mapping.states.done])];
}

/** A tenant that has jobs in a state that is counted, as it was found before its jobs are looked at. */
export interface Group {
  /** The state's place among `liveStates`. */
  place: number;
  /** As text. */
  tenant: string;
  /** Whether its last job in order of time is one without a time, or one whose time has not come. */
  ends_later: boolean;
}

/** The looks at one tenant's rows that a poll takes. */
export function probes({ mapping: { states }, readyAt, index }: JobsTable): Probe[] {
  const all = (kind: JobClass) =>
    states[kind].map((state): Probe => ({ look: kind, state, class: kind, rows: 'any' }));
  const ready = states.ready.flatMap((state): Probe[] => {
    if (index?.byReadyAt !== true) return [{ look: 'ready', state, class: 'ready', rows: 'any' }];
    const due: Probe = { look: 'ready-due', state, class: 'ready', rows: 'due' };
    const later: Probe = { look: 'ready-later', state, class: 'ready', rows: 'later' };
    const without: Probe = { look: 'ready', state, class: 'ready', rows: 'without-ready-at' };
    return readyAt.nullable ? [due, later, without] : [due, later];
  });
  return [...ready, ...all('delayed'), ...all('running'), ...all('dead')];
}

/** Whether a look tells of jobs of that class, so that it needs what is counted of them. */
const tells = (look: Look, kind: 'waiting' | 'running'): boolean =>
  look === 'all' || (kind === 'running') === (look === 'running');

/** The columns of `counts`, from a row of the table. `jobClass` is an expression. */
export function jobColumns(dialect: Dialect, mapping: JobsMapping, look: Look, jobClass: string): string {
  const time = (column: string) => dialect.time(dialect.name(column));
  const { createdAt, readyAt, startedAt, heartbeatAt, lockedBy } = mapping;
  const created = time(createdAt);
  const since =
    readyAt === undefined
      ? created
      : `COALESCE(GREATEST(${created}, ${time(readyAt)}), ${time(readyAt)}, ${created})`;
  const columns = [`${jobClass} AS class`];
  if (tells(look, 'waiting') && look !== 'delayed' && look !== 'dead') {
    // Without any time, which no queue of sense has, a job counts as new.
    columns.push(
      `COALESCE(${since}, ${dialect.now}) AS ready_at`,
      `COALESCE(${created}, ${dialect.now}) AS created_at`,
      `${time(readyColumn(mapping))} AS column_at`,
    );
  }
  if (tells(look, 'running')) {
    if (startedAt !== undefined) columns.push(`${time(startedAt)} AS started_at`);
    if (heartbeatAt !== undefined) columns.push(`${time(heartbeatAt)} AS beat_at`);
    if (lockedBy !== undefined) columns.push(`${dialect.name(lockedBy)} AS locked_by`);
  }
  return columns.join(', ');
}

/** The class of a row by its state, for a walk over all of them. */
export function classByState(dialect: Dialect, { state, states }: JobsMapping): string {
  const when = (kind: JobClass) =>
    states[kind].length === 0
      ? ''
      : ` WHEN ${dialect.name(state)} IN (${states[kind].map((value) => dialect.text(value)).join(', ')}) THEN '${kind}'`;
  return `CASE${when('ready')}${when('delayed')}${when('running')}${when('dead')} END`;
}

/** What is counted over rows with the columns of `jobColumns`; what a look cannot tell is 0 or null. */
export function counts(dialect: Dialect, mapping: JobsMapping, look: Look): string {
  const { number, now } = dialect;
  const { startedAt, heartbeatAt, lockedBy } = mapping;
  const beatLimit = dialect.ago(Math.round(mapping.staleAfterSeconds * 1000));
  const isTimed = tells(look, 'waiting') && look !== 'delayed' && look !== 'dead';
  const runs = tells(look, 'running');
  const ready = `class = 'ready' AND ready_at <= ${now}`;
  const delayed = isTimed
    ? `(class = 'delayed' OR class = 'ready' AND ready_at > ${now})`
    : `class = 'delayed'`;
  const running = `class = 'running'`;
  const alive =
    heartbeatAt === undefined ? running : `${running} AND (beat_at IS NULL OR beat_at >= ${beatLimit})`;
  const count = (condition: string, isTold: boolean) =>
    isTold ? number(`COALESCE(SUM(CASE WHEN ${condition} THEN 1 ELSE 0 END), 0)`) : number('0');
  const of = (reduce: 'MIN' | 'MAX', column: string, condition: string, isTold: boolean) =>
    number(isTold ? dialect.msOf(`${reduce}(CASE WHEN ${condition} THEN ${column} END)`) : 'NULL');
  const hasStart = runs && startedAt !== undefined;
  const hasBeat = runs && heartbeatAt !== undefined;
  return `'${look}' AS look,
         ${number('COUNT(*)')} AS seen,
         ${count(ready, isTimed)} AS ready_jobs,
         ${count(delayed, tells(look, 'waiting'))} AS delayed_jobs,
         ${count(running, runs)} AS running_jobs,
         ${count(`${running} AND beat_at < ${beatLimit}`, hasBeat)} AS stale_jobs,
         ${count(`class = 'dead'`, look === 'dead' || look === 'all')} AS dead_jobs,
         ${of('MIN', 'ready_at', ready, isTimed)} AS oldest_ready_ms,
         ${number(isTimed ? dialect.createdOfOldest(ready) : 'NULL')} AS oldest_created_ms,
         ${number(isTimed ? dialect.msOf('MAX(column_at)') : 'NULL')} AS horizon_ms,
         ${of('MAX', 'started_at', running, hasStart)} AS newest_start_ms,
         ${of('MIN', 'started_at', alive, hasStart)} AS oldest_start_ms,
         ${of('MAX', 'beat_at', running, hasBeat)} AS newest_beat_ms,
         ${runs && lockedBy !== undefined ? dialect.owners(alive) : 'NULL'} AS owners`;
}

/** All tenants in one walk over the whole table, for a table without an index that serves. */
export function wholeTable(dialect: Dialect, { name, mapping }: JobsTable): string {
  const tenant = dialect.name(mapping.tenant);
  const states = liveStates(mapping).map((state) => dialect.text(state));
  return `
  SELECT ${dialect.tenantText('tenant')} AS tenant,
         ${counts(dialect, mapping, 'all')}, ${dialect.number(String(Number.MAX_SAFE_INTEGER))} AS most
    FROM (SELECT ${tenant} AS tenant, ${jobColumns(dialect, mapping, 'all', classByState(dialect, mapping))}
            FROM ${name}
           WHERE ${dialect.name(mapping.state)} IN (${states.join(', ')}) AND ${tenant} IS NOT NULL) AS jobs
   GROUP BY tenant
   LIMIT ${TENANTS_AT_MOST}`;
}
