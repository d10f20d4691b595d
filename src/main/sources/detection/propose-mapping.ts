// How a table is best read as jobs, from its columns and what was seen of its rows. Pure.
import type { MappingProposal } from '../../../contract/detection.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import { jobsMappingSchema } from '../../../contract/settings.ts';
import { classOf, columnsFor, doneFlags, type Role } from './column-roles.ts';
import {
  derivedDoubt,
  derivedState,
  holdsMilliseconds,
  timeColumn,
  type DerivedColumn,
} from './derived-columns.ts';
import { knownShape, type KnownShape } from './known-shapes.ts';
import { proposeStates, type ProposedStates } from './propose-states.ts';
import { snakeCase } from './state-words.ts';
import type { LookedColumn, SeenState, TableLook } from './table-look.ts';

const STALE_AFTER_SECONDS = 600;

/** The column whose values say how a job stands; null where none does. */
export function stateColumnOf({ columns }: TableLook): LookedColumn | null {
  return columnsFor('state', columns)[0] ?? doneFlags(columns)[0] ?? null;
}

/** Rejects with `schema-mismatch` where nothing tells how a job stands, or when it was created. */
export function proposeMapping(look: TableLook, seen: readonly SeenState[]): MappingProposal {
  const proposal = new Proposal(look);
  const shape = knownShape(look);
  proposal.state(seen, shape);
  proposal.identity();
  proposal.times(shape);
  proposal.tenantAndKind();
  proposal.rest(seen, shape);
  return proposal.finish(seen);
}

class Proposal {
  readonly #look: TableLook;
  readonly #mapping: Record<string, unknown>;
  readonly #reasons: Record<string, string> = {};
  readonly #doubts: string[] = [];
  readonly #derived: DerivedColumn[] = [];
  /** A column has one meaning. */
  readonly #used = new Set<string>();
  #dead: readonly string[] = [];

  constructor(look: TableLook) {
    this.#look = look;
    this.#mapping = { table: look.table };
  }

  #all(role: Role): LookedColumn[] {
    return columnsFor(role, this.#look.columns).filter(({ name }) => !this.#used.has(name));
  }

  /** Takes the surest column for a field, or nothing. */
  #take(field: string, role: Role, reason?: string): LookedColumn | undefined {
    const [column] = this.#all(role);
    if (column !== undefined) this.#set(field, column, reason);
    return column;
  }

  #set(field: string, column: LookedColumn, reason = `named ${column.name}`): void {
    this.#used.add(column.name);
    this.#mapping[field] = column.name;
    this.#reasons[field] = column.comment === '' ? reason : `${reason}; its comment: ${cut(column.comment)}`;
  }

  /** A time may stand in two roles: a lock is the last sign of life too. */
  #setTime(field: string, column: LookedColumn, reason = `named ${column.name}`): void {
    const { name, derived } = timeColumn(this.#look, column);
    this.#mapping[field] = name;
    this.#reasons[field] =
      derived === null
        ? reason
        : `the ${holdsMilliseconds(column) ? 'milliseconds' : 'seconds'} in ${column.name}`;
    if (derived !== null && !this.#derived.some((each) => each.name === name)) this.#derived.push(derived);
  }

  state(seen: readonly SeenState[], shape: KnownShape | null): void {
    const column = stateColumnOf(this.#look);
    if (column === null) {
      const derived = derivedState(this.#look);
      if (derived === null) throw noState(this.#look);
      const { name } = derived.column;
      this.#derived.push(derived.column);
      Object.assign(this.#mapping, { state: name, states: derived.states });
      this.#reasons['state'] = `told by ${derived.from.join(', ')}, for want of a column of states`;
      this.#doubts.push(
        `It has no column of states: ${derived.from.join(', ')} ${derived.from.length === 1 ? 'tells' : 'tell'} how a job stands.${derived.tellsRunning ? '' : ' Which jobs run is not kept in the table.'}`,
      );
      return;
    }
    const proposed = isFlag(column)
      ? flagStates(column)
      : proposeStates(
          column,
          seen.map(({ state }) => state),
          shape?.states,
        );
    const values = seen.length === 0 ? '' : `, ${seen.length} ${seen.length === 1 ? 'value' : 'values'}`;
    this.#set('state', column, `named ${column.name}${values}`);
    this.#mapping['states'] = proposed.states;
    this.#dead = proposed.states.dead;
    Object.assign(this.#reasons, proposed.reasons);
    this.#doubts.push(...proposed.doubts);
    const others = this.#all('state').map(({ name }) => name);
    if (others.length > 0)
      this.#doubts.push(`${others.join(', ')} may be the state too; ${column.name} was taken.`);
  }

  identity(): void {
    const { primaryKey, columns } = this.#look;
    const [key] = primaryKey;
    const named = ['id', 'job_id', 'uuid', 'task_id', 'message_id'];
    const column =
      (primaryKey.length === 1 ? columns.find(({ name }) => name === key) : undefined) ??
      columns.find(({ name }) => named.includes(snakeCase(name))) ??
      columns.find(({ name }) => name === key) ??
      columns[0];
    if (column === undefined) throw noState(this.#look);
    const isKey = primaryKey.length === 1 && column.name === key;
    this.#set('id', column, isKey ? 'the primary key' : `named ${column.name}`);
    if (!isKey)
      this.#doubts.push(
        primaryKey.length > 1
          ? `The primary key has several columns (${primaryKey.join(', ')}); ${column.name} must be unique by itself.`
          : `The table has no primary key; ${column.name} must be unique.`,
      );
  }

  times(shape: KnownShape | null): void {
    const [created] = this.#all('createdAt');
    const [ready] = this.#all('readyAt');
    const [anyTime] = this.#look.columns.filter(({ type }) => classOf(type) === 'time');
    const birth = created ?? ready ?? anyTime;
    if (birth === undefined) throw noTime(this.#look);
    this.#used.add(birth.name);
    this.#setTime('createdAt', birth);
    if (created === undefined)
      this.#doubts.push(
        `No column tells when a job was created; ${birth.name} was taken, so a job's age is that.`,
      );
    if (ready !== undefined && ready !== birth) this.#setTime('readyAt', ready);
    const [locked] = this.#all('lockedAt');
    const [started] = this.#all('startedAt');
    const start = started ?? locked;
    if (start !== undefined) this.#setTime('startedAt', start);
    const [finished] = this.#all('finishedAt');
    if (finished !== undefined) this.#setTime('finishedAt', finished);
    this.#heartbeat(locked, shape);
  }

  #heartbeat(locked: LookedColumn | undefined, shape: KnownShape | null): void {
    const [beat] = this.#all('heartbeatAt');
    const [changed] = this.#all('changedAt');
    const sign = beat ?? locked ?? changed;
    if (sign === undefined) return;
    const reason =
      sign === beat
        ? `named ${sign.name}`
        : sign === locked
          ? `when its lock was taken, for want of a heartbeat`
          : `the row's last change, for want of a heartbeat`;
    this.#setTime('heartbeatAt', sign, reason);
    this.#mapping['staleAfterSeconds'] = shape?.staleAfterSeconds ?? STALE_AFTER_SECONDS;
    this.#reasons['staleAfterSeconds'] =
      shape?.staleAfterSeconds === undefined ? 'ten minutes, as is common' : `as in ${shape.name}`;
    if (sign !== beat && shape === null)
      this.#doubts.push(
        `A running job counts as stale when ${sign.name} is over ten minutes old: right where no job runs longer, or workers touch it.`,
      );
  }

  tenantAndKind(): void {
    const tenants = this.#all('tenant');
    const queues = this.#all('queue');
    const kinds = this.#all('kind');
    const [tenant] = [...tenants, ...queues, ...kinds];
    if (tenant === undefined) {
      // Something must stand here: all jobs of one state are then one tenant.
      this.#mapping['tenant'] = this.#mapping['state'];
      this.#reasons['tenant'] = 'no column tells whose a job is';
      this.#doubts.push('No column tells whose a job is: name the one whose values must be treated fairly.');
    } else {
      const why = tenants.length > 0 ? '' : ', for want of a column that tells whose a job is';
      this.#set('tenant', tenant, `named ${tenant.name}${why}`);
      const others = tenants.slice(1).map(({ name }) => name);
      if (others.length > 0)
        this.#doubts.push(
          `${[tenant.name, ...others].join(' or ')} may be the tenant; ${tenant.name} was taken. Choose whom workers must treat fairly.`,
        );
      if (tenant.nullable)
        this.#doubts.push(`${tenant.name} may be null; jobs without it are counted nowhere.`);
    }
    const kind = this.#take('kind', 'kind');
    if (kind === undefined) this.#take('kind', 'queue');
  }

  rest(seen: readonly SeenState[], shape: KnownShape | null): void {
    this.#take('lockedBy', 'lockedBy');
    const attempts = this.#take('attempts', 'attempts');
    const limit = this.#take('maxAttempts', 'maxAttempts');
    if (limit === undefined && attempts !== undefined) this.#maxAttempts(seen, shape);
    this.#take('priority', 'priority');
    this.#take('batch', 'batch');
    this.#take('error', 'error');
    this.#take('payload', 'payload');
  }

  #maxAttempts(seen: readonly SeenState[], shape: KnownShape | null): void {
    const most = Math.max(
      0,
      ...seen.flatMap(({ state, attempts }) => (this.#dead.includes(state) ? [attempts ?? 0] : [])),
    );
    const limit = shape?.maxAttempts ?? (most > 0 ? most : undefined);
    if (limit === undefined) return;
    this.#mapping['maxAttempts'] = limit;
    if (shape?.maxAttempts !== undefined) {
      this.#reasons['maxAttempts'] = `as in ${shape.name}`;
      return;
    }
    this.#reasons['maxAttempts'] = `the most attempts that a dead job was seen to have`;
    this.#doubts.push(`That a job has ${limit} attempts is only what its dead rows show.`);
  }

  finish(seen: readonly SeenState[]): MappingProposal {
    if (this.#derived.length > 0) this.#doubts.push(derivedDoubt(this.#look, this.#derived));
    return {
      mapping: jobsMappingSchema.parse(this.#mapping),
      reasons: this.#reasons,
      columns: this.#look.columns.map(({ name, type, nullable }) => ({ name, type, nullable })),
      stateValues: seen.map(({ state }) => state),
      doubts: this.#doubts,
    };
  }
}

const isFlag = (column: LookedColumn): boolean => columnsFor('state', [column]).length === 0;

/** In PostgreSQL a flag is written as a word, in MySQL as a number. */
function flagStates({ name, type }: LookedColumn): ProposedStates {
  const [unset, set] = /^bool/i.test(type) && !/tinyint/i.test(type) ? ['false', 'true'] : ['0', '1'];
  return {
    states: { ready: [unset], running: [], delayed: [], held: [], dead: [], done: [set] },
    reasons: { 'states.ready': `${name} is not set`, 'states.done': `${name} is set` },
    doubts: [`${name} tells done from not done alone: running and failed jobs count as ready.`],
  };
}

const cut = (text: string): string => (text.length <= 80 ? text : `${text.slice(0, 79)}…`);

const noState = ({ table, columns }: TableLook): HeadwayError =>
  new HeadwayError(
    'schema-mismatch',
    `Table ${table} does not look like jobs: no column tells how a job stands (as status or state), nor when it was locked, failed or finished. Its columns are ${columns.map(({ name }) => name).join(', ')}. Name another table, or fill in the mapping by hand.`,
  );

const noTime = ({ table, columns }: TableLook): HeadwayError =>
  new HeadwayError(
    'schema-mismatch',
    `Table ${table} has no column of a time, and without one no job has an age. Its columns are ${columns.map(({ name }) => name).join(', ')}.`,
  );
