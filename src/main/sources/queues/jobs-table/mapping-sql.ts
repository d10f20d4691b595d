// What both dialects share of the statements on a mapped table of jobs: which rows are looked at, and what is counted of them.
import type { JobsMapping } from '../../../../contract/settings.ts';

/** Rows read of one tenant in one state: counts up to one less are exact. */
export const HEAD_ROWS = 201;
/** Tenants that a poll looks at, at most. */
export const TENANTS_AT_MOST = 2000;

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
  /** A tenant as text. */
  readonly tenantText: (expression: string) => string;
  /** A number that arrives as one. */
  readonly number: (expression: string) => string;
  /** `created_ms` of the row with the lowest `ready_ms` among those that meet a condition. */
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

/** The columns of `counts`, from a row of the table. `jobClass` is an expression. */
export function jobColumns(dialect: Dialect, mapping: JobsMapping, jobClass: string): string {
  const ms = (column: string | undefined) =>
    column === undefined ? dialect.number('NULL') : dialect.ms(dialect.name(column));
  const created = ms(mapping.createdAt);
  const since =
    mapping.readyAt === undefined
      ? created
      : `COALESCE(GREATEST(${created}, ${ms(mapping.readyAt)}), ${ms(mapping.readyAt)}, ${created})`;
  // Without any time, which no queue of sense has, a job counts as new.
  return `${jobClass} AS class,
         COALESCE(${since}, ${dialect.nowMs}) AS ready_ms,
         COALESCE(${created}, ${dialect.nowMs}) AS created_ms,
         ${ms(readyColumn(mapping))} AS column_ms,
         ${ms(mapping.startedAt)} AS started_ms,
         ${ms(mapping.heartbeatAt)} AS beat_ms,
         ${mapping.lockedBy === undefined ? 'NULL' : dialect.name(mapping.lockedBy)} AS locked_by`;
}

/** The class of a row by its state, for a walk over all of them. */
export function classByState(dialect: Dialect, { state, states }: JobsMapping): string {
  const when = (kind: JobClass) =>
    states[kind].length === 0
      ? ''
      : ` WHEN ${dialect.name(state)} IN (${states[kind].map((value) => dialect.text(value)).join(', ')}) THEN '${kind}'`;
  return `CASE${when('ready')}${when('delayed')}${when('running')}${when('dead')} END`;
}

/** What is counted over rows with the columns of `jobColumns`. */
export function counts(dialect: Dialect, mapping: JobsMapping, look: Look): string {
  const { nowMs, number } = dialect;
  const ready = `class = 'ready' AND ready_ms <= ${nowMs}`;
  const delayed = `(class = 'delayed' OR class = 'ready' AND ready_ms > ${nowMs})`;
  const running = `class = 'running'`;
  const stale = `${running} AND beat_ms < ${nowMs} - ${Math.round(mapping.staleAfterSeconds * 1000)}`;
  const alive = `${running} AND (beat_ms IS NULL OR beat_ms >= ${nowMs} - ${Math.round(mapping.staleAfterSeconds * 1000)})`;
  const count = (condition: string) => number(`COALESCE(SUM(CASE WHEN ${condition} THEN 1 ELSE 0 END), 0)`);
  const of = (reduce: 'MIN' | 'MAX', column: string, condition: string) =>
    number(`${reduce}(CASE WHEN ${condition} THEN ${column} END)`);
  return `'${look}' AS look,
         ${number('COUNT(*)')} AS seen,
         ${count(ready)} AS ready_jobs,
         ${count(delayed)} AS delayed_jobs,
         ${count(running)} AS running_jobs,
         ${count(stale)} AS stale_jobs,
         ${count(`class = 'dead'`)} AS dead_jobs,
         ${of('MIN', 'ready_ms', ready)} AS oldest_ready_ms,
         ${number(dialect.createdOfOldest(ready))} AS oldest_created_ms,
         ${number('MAX(column_ms)')} AS horizon_ms,
         ${of('MAX', 'started_ms', running)} AS newest_start_ms,
         ${of('MIN', 'started_ms', alive)} AS oldest_start_ms,
         ${of('MAX', 'beat_ms', running)} AS newest_beat_ms,
         ${mapping.lockedBy === undefined ? 'NULL' : dialect.owners(alive)} AS owners`;
}

/** All tenants in one walk over the whole table, for a table without an index that serves. */
export function wholeTable(dialect: Dialect, { name, mapping }: JobsTable): string {
  const tenant = dialect.name(mapping.tenant);
  const states = liveStates(mapping).map((state) => dialect.text(state));
  return `
  SELECT ${dialect.tenantText('tenant')} AS tenant,
         ${counts(dialect, mapping, 'all')}
    FROM (SELECT ${tenant} AS tenant, ${jobColumns(dialect, mapping, classByState(dialect, mapping))}
            FROM ${name}
           WHERE ${dialect.name(mapping.state)} IN (${states.join(', ')}) AND ${tenant} IS NOT NULL) AS jobs
   GROUP BY tenant
   LIMIT ${TENANTS_AT_MOST}`;
}
