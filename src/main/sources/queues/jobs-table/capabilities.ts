// What a jobs table tells and what can be done to it: as far as its mapping names the columns and states that it takes.
import { unsupported, type Capabilities, type Capability } from '../../../../contract/capabilities.ts';
import type { JobsMapping } from '../../../../contract/settings.ts';
import type { JobsIndex } from './mapping-sql.ts';

const emulated = (how: string, ...hazards: string[]): Capability => ({
  support: 'emulated',
  how,
  durable: true,
  coversNewArrivals: false,
  hazards,
});

const UNKNOWN_PROGRAM =
  'Headway knows the table and not its program, which may keep what belongs to a change elsewhere.';
const TWICE = 'Too early, the job runs twice: only with proof that its worker is dead.';

/** Everything is emulated: a table has no functions of its own. */
export function jobsTableCapabilities(mapping: JobsMapping, index: JobsIndex | null): Capabilities {
  return { facts: factsOf(mapping, index), actions: actionsOf(mapping) };
}

function factsOf(mapping: JobsMapping, index: JobsIndex | null): Capabilities['facts'] {
  const { states, heartbeatAt, lockedBy, startedAt } = mapping;
  const counted = index
    ? ({
        kind: 'bounded',
        note: 'Exact up to 200 of a tenant in one state, "at least" above. Over 41 tenants share a number of rows (1,000: 8 each): longer queues are looked deeper into in turn.',
      } as const)
    : ({
        kind: 'exact',
        note: 'Each poll reads the whole table, as long as that fits its time limit.',
      } as const);
  const only = (has: boolean, note: string) => (has ? counted : { kind: 'no' as const, note });
  const ordered = index === null || index.byReadyAt;
  return {
    lag: {
      kind: ordered ? 'exact' : 'bounded',
      note: ordered ? '' : `"At least", where a tenant has more than 200 jobs: ${index.name} has no time.`,
    },
    depth: counted,
    running: only(states.running.length > 0, 'The mapping names no state of running jobs.'),
    stale: only(
      states.running.length > 0 && heartbeatAt !== undefined,
      'The mapping names no heartbeat of running jobs.',
    ),
    dead: only(states.dead.length > 0, 'The mapping names no state of dead jobs.'),
    blocked: { kind: 'no', note: 'A mapping does not tell what jobs wait for.' },
    arrivals: { kind: 'no', note: 'From differences of samples: a table has no counter.' },
    finishes: { kind: 'no', note: 'From differences of samples: a table has no counter.' },
    workers:
      lockedBy === undefined
        ? {
            kind: 'no',
            note: 'The mapping names no column with the worker; only their last sign of life is seen.',
          }
        : { kind: 'bounded', note: 'Workers that have a job; idle ones are not seen.' },
    'claim-order': { kind: 'no', note: 'The program’s own; the mapping does not tell it.' },
    jobs: {
      kind: 'exact',
      note: 'By an index where one has the list’s order; else all rows in the state are sorted, within a time limit.',
    },
    locks:
      (lockedBy ?? startedAt ?? heartbeatAt)
        ? { kind: 'exact', note: 'Running jobs, with what the mapping tells of their claim.' }
        : { kind: 'no', note: 'The mapping names no column that tells of a claim.' },
  };
}

function actionsOf(mapping: JobsMapping): Capabilities['actions'] {
  const { state, states, readyAt, startedAt, heartbeatAt, lockedBy, attempts, priority } = mapping;
  const named = (values: readonly string[]) => values.map((value) => `'${value}'`).join(' or ');
  const set = (value: string | undefined) => `${state} = '${value ?? ''}'`;
  const [ready] = states.ready;
  const [held] = states.held;
  const cleared = [lockedBy, startedAt].filter((column) => column !== undefined);
  const mixed =
    states.ready.length > 1
      ? [`Which of ${named(states.ready)} a job was in is kept in Headway’s journal alone.`]
      : [];
  const noHeld = 'The mapping names no state that the workers leave alone: name one under held, as "paused".';
  const noDead = 'The mapping names no state of dead jobs.';
  return {
    pause:
      held === undefined
        ? unsupported(noHeld)
        : emulated(
            `Sets ${set(held)} for rows that are ${named(states.ready)}.`,
            'New jobs leak in between two sweeps, and all of them when Headway is closed.',
            `The program may not know '${held}': it may count, clean up or report such jobs wrongly.`,
            ...mixed,
          ),
    resume:
      held === undefined
        ? unsupported(noHeld)
        : emulated(`Sets ${set(ready)} for the rows that the pause changed.`, ...mixed),
    drain: unsupported('A table cannot refuse new rows without failing its producers.'),
    unlock:
      states.running.length === 0 || (lockedBy ?? startedAt ?? heartbeatAt) === undefined
        ? unsupported(
            'The mapping names no running state, or no column (locked by, started at, heartbeat) by which a claim is known again.',
          )
        : emulated(
            `Sets ${set(ready)}${cleared.length > 0 ? ` and clears ${cleared.join(' and ')}` : ''}, where the row is still as it was seen.`,
            TWICE,
            ...(heartbeatAt === undefined
              ? ['The mapping names no heartbeat, so that nothing tells a dead worker from a slow one.']
              : []),
          ),
    retry:
      states.dead.length === 0
        ? unsupported(noDead)
        : emulated(
            `Sets ${set(ready)} for rows that are ${named(states.dead)}${attempts === undefined ? '' : `, and lowers ${attempts} by one`}.`,
            ...(attempts === undefined
              ? [
                  'The program may count attempts in a column that is not mapped, and give the job up at once.',
                ]
              : []),
            UNKNOWN_PROGRAM,
          ),
    reschedule:
      readyAt === undefined
        ? unsupported('The mapping names no column (ready at) that says when a job may start.')
        : emulated(
            `Sets ${readyAt} of rows that are not running.`,
            'The time that the program had chosen is replaced.',
          ),
    discard: emulated(
      'Deletes rows that are not running.',
      'The row and its error are gone, and by foreign keys maybe rows of other tables.',
      UNKNOWN_PROGRAM,
    ),
    requeue:
      states.dead.length === 0
        ? unsupported(noDead)
        : attempts === undefined
          ? unsupported('The mapping names no column of attempts to begin anew.')
          : emulated(
              `Sets ${set(ready)} and ${attempts} = 0 for rows that are ${named(states.dead)}.`,
              'A job that fails for good takes all of its attempts once more.',
              UNKNOWN_PROGRAM,
            ),
    release:
      held === undefined
        ? unsupported(noHeld)
        : emulated(
            `Sets ${set(ready)} for rows that are ${named(states.held)}.`,
            'Somebody may have held the job for a reason.',
          ),
    prioritise:
      priority === undefined
        ? unsupported('The mapping names no column of priorities.')
        : emulated(
            `Sets ${priority} of rows that are not running.`,
            'The mapping does not tell whether a lower or a higher number comes first.',
          ),
  };
}
