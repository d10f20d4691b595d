// The columns of a jobs table as the form holds them: text in fields.
import type { JobsMapping } from '../../../contract/settings.ts';
import { filled, listOf, numberOf } from './form-text.ts';

export type JobState = keyof JobsMapping['states'];
type Column = Exclude<keyof JobsMapping, 'states'>;

/** By the names of the settings. Optional columns are empty where the table has none. */
export interface MappingFields extends Record<Column, string> {
  /** The values that mean each state, with commas. */
  states: Record<JobState, string>;
}

const STALE_AFTER_SECONDS = '600';

export const emptyMapping = (): MappingFields => ({
  table: '',
  id: '',
  tenant: '',
  kind: '',
  state: '',
  states: { ready: '', running: '', delayed: '', held: '', dead: '', done: '' },
  createdAt: '',
  readyAt: '',
  startedAt: '',
  finishedAt: '',
  heartbeatAt: '',
  staleAfterSeconds: STALE_AFTER_SECONDS,
  lockedBy: '',
  attempts: '',
  maxAttempts: '',
  priority: '',
  error: '',
  payload: '',
  batch: '',
});

/** The table that Headway was made for, a common shape; the name of the table is the engineer's. */
export const auditedMapping = (table: string): MappingFields => ({
  ...emptyMapping(),
  table,
  id: 'id',
  tenant: 'user_id',
  kind: 'kind',
  state: 'status',
  states: {
    ready: 'queued',
    running: 'processing',
    delayed: '',
    held: 'paused',
    dead: 'error',
    done: 'done, cancelled',
  },
  createdAt: 'created_at',
  // Its workers touch the row, so that its last change is their sign of life.
  heartbeatAt: 'updated_at',
  attempts: 'attempts',
  maxAttempts: '3',
  error: 'last_error',
  payload: 'payload',
  batch: 'batch_id',
});

export function mappingFieldsOf(mapping: JobsMapping): MappingFields {
  const { states, staleAfterSeconds, maxAttempts, ...columns } = mapping;
  const fields = emptyMapping();
  Object.assign(fields, columns);
  for (const state of jobStates(fields)) fields.states[state] = states[state].join(', ');
  fields.staleAfterSeconds = String(staleAfterSeconds);
  fields.maxAttempts = String(maxAttempts ?? '');
  return fields;
}

/** The settings that the fields stand for, unchecked. `base` is the mapping before. */
export function readMapping(fields: MappingFields, base: JobsMapping | null): unknown {
  const { table, id, tenant, state, createdAt, states, staleAfterSeconds, maxAttempts, ...optional } = fields;
  const before = base === null ? null : mappingFieldsOf(base);
  const valuesOf = (meaning: JobState): string[] =>
    // A value that itself holds a comma survives as long as its field is left alone.
    base !== null && before?.states[meaning] === states[meaning]
      ? base.states[meaning]
      : listOf(states[meaning]);
  const most = maxAttempts.trim();
  return {
    table: table.trim(),
    id: id.trim(),
    tenant: tenant.trim(),
    state: state.trim(),
    createdAt: createdAt.trim(),
    ...filled(optional),
    states: Object.fromEntries(jobStates(fields).map((meaning) => [meaning, valuesOf(meaning)])),
    staleAfterSeconds: numberOf(staleAfterSeconds),
    // A number is the limit of every job; anything else names the column that has it.
    ...(most !== '' && { maxAttempts: /^-?\d+$/.test(most) ? Number(most) : most }),
  };
}

// The keys of a literal are the states.
const jobStates = ({ states }: MappingFields): JobState[] => Object.keys(states) as JobState[];
