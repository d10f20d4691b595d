// What the values of a state column mean, from everything that tells: its type, its default, its comment and the rows. Pure.
import type { JobsMapping } from '../../../contract/settings.ts';
import { classOf } from './column-roles.ts';
import { jobStates, meaningOf, placeOf, valuesInComment, type JobState } from './state-words.ts';
import type { LookedColumn } from './table-look.ts';

export interface ProposedStates {
  states: JobsMapping['states'];
  /** By the mapping's field: "states.ready". */
  reasons: Record<string, string>;
  doubts: string[];
}

/** "'queued'::text" and "queued" are the value queued; null where there is none, or it is computed. */
export function defaultOf(value: string | null): string | null {
  if (value === null || /^null\b/i.test(value)) return null;
  const quoted = /^'(?<text>(?:[^']|'')*)'/.exec(value)?.groups?.['text'];
  if (quoted !== undefined) return quoted.replaceAll("''", "'");
  return /^[^()']+$/.test(value) ? value : null;
}

export function proposeStates(
  column: LookedColumn,
  seen: readonly string[],
  usual: Partial<Record<JobState, readonly string[]>> = {},
): ProposedStates {
  const first = defaultOf(column.defaultValue);
  const words = valuesInComment(column.comment);
  // A value that its type refuses would make every poll fail.
  const isText = classOf(column.type, column.isEnum) === 'text';
  const taken = Object.values(usual)
    .flat()
    .filter((value) => isText && column.allowed?.includes(value) !== false);
  const values = [...new Set([...(column.allowed ?? []), ...seen, ...words.keys(), ...taken])];
  const states: JobsMapping['states'] = { ready: [], running: [], delayed: [], held: [], dead: [], done: [] };
  const unknown: string[] = [];
  for (const value of values) {
    const usually = jobStates.find((state) => usual[state]?.includes(value));
    const meaning = usually ?? meaningOf(words.get(value) ?? value) ?? (value === first ? 'ready' : null);
    if (meaning === null) unknown.push(value);
    else states[meaning].push(value);
  }
  for (const state of jobStates) states[state].sort((a, b) => placeOf(a) - placeOf(b));

  const doubts: string[] = [];
  if (states.ready.length === 0) {
    const [guess] = unknown;
    const isNumber = classOf(column.type, column.isEnum) === 'number';
    const ready = first ?? guess ?? (isNumber ? '0' : 'queued');
    states.ready.push(ready);
    if (unknown.includes(ready)) unknown.splice(unknown.indexOf(ready), 1);
    doubts.push(
      values.length === 0
        ? `No row told what a ready job's ${column.name} is: '${ready}' is a guess.`
        : `Which ${column.name} a ready job has is not told by its words: '${ready}' is a guess.`,
    );
  }
  if (unknown.length > 0) {
    doubts.push(
      `What ${unknown.map((value) => `'${value}'`).join(', ')} of ${column.name} ${unknown.length === 1 ? 'means' : 'mean'} is not told; such jobs are counted nowhere until ${unknown.length === 1 ? 'it stands' : 'they stand'} under a meaning.`,
    );
  }
  if (states.running.length === 0)
    doubts.push(
      `No value of ${column.name} was recognised as running; without one, running and stale jobs are not seen.`,
    );
  const reasons = Object.fromEntries(
    jobStates.flatMap((state) => {
      const because = states[state].map((value) => reasonFor(value, { column, seen, words, first }));
      return because.length === 0 ? [] : [[`states.${state}`, because.join('; ')]];
    }),
  );
  return { states, reasons, doubts };
}

function reasonFor(
  value: string,
  {
    column,
    seen,
    words,
    first,
  }: {
    column: LookedColumn;
    seen: readonly string[];
    words: ReadonlyMap<string, string>;
    first: string | null;
  },
): string {
  const word = words.get(value);
  if (word !== undefined) return `${value} is “${word}” by the column's comment`;
  if (value === first) return `${value} is the column's default`;
  if (column.allowed?.includes(value) === true)
    return `${value} is allowed by the column's ${column.isEnum ? 'type' : 'check'}`;
  return seen.includes(value) ? `${value} was found in its rows` : `${value} is usual in such a table`;
}
