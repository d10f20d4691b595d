// What any line that matches a filter must have, so that nearly all lines are passed over unread. Pure.
//
// A plan never decides that a line matches: what it lets through is asked by the filter itself. What it holds back cannot match, and
// for that it must know every way in which the filter could find what it wants: hence `hidden`.
import {
  levelPasses,
  parseLogFilter,
  type FilterOperator,
  type FilterTerm,
  type LogFilter,
} from '../../core/log-filter.ts';
import { TENANT_FIELDS } from '../logs/read-timing.ts';
import { hides, hidingPatterns, mayContain } from './block-index.ts';
import { levelBit, storedLevels } from './record.ts';

/** One way in which a line may say what a term wants. */
export interface Alternative {
  /** All of them stand in such a line, whatever their case; ASCII. */
  words: readonly string[];
  /** Source of an expression (without regard to case) that finds it in bytes taken for Latin-1. Never crosses a line end. */
  pattern: string;
}

/** Every matching line has one of the alternatives. */
export interface Clause {
  alternatives: readonly Alternative[];
  /** Where what it wants may stand without being seen: flags of block-index.ts. */
  hidden: number;
  /** Looks closer at a line than the patterns do, and at all that they find. */
  passes: ((line: string) => boolean) | null;
  /** How few lines it is likely to let through. */
  weight: number;
}

export interface SearchPlan {
  filter: LogFilter;
  /** Levels that may match, as in the index. */
  levels: number;
  /** Whether lines of a source may match. */
  takesSource: (label: string) => boolean;
  /** The first is likely to let the fewest through. */
  clauses: readonly Clause[];
  /** Whether the filter asks of more than level and source, so that it must see every line that is let through. */
  looksAtText: boolean;
}

const isOfSource = (term: FilterTerm): term is FilterTerm & { of: 'source'; wanted: string } =>
  term.of === 'source';

export function planSearch(text: string, names: readonly [tenantId: string, name: string][]): SearchPlan {
  const nameOf = new Map(names);
  const filter = parseLogFilter(text, (id) => nameOf.get(id));
  const levelTerms = filter.terms.filter((term) => term.of === 'level');
  const sourceTerms = filter.terms.filter(isOfSource);
  const clauses = filter.terms.flatMap((term) => clausesOf(term, names));
  return {
    filter,
    levels: storedLevels.reduce(
      (mask, level, place) =>
        levelTerms.every((term) => levelPasses(term, level)) ? mask | (1 << place) : mask,
      0,
    ),
    takesSource: (label) =>
      sourceTerms.every(({ wanted, negated }) => label.toLowerCase().includes(wanted) !== negated),
    clauses: clauses.sort((a, b) => b.weight - a.weight),
    looksAtText: filter.terms.length > levelTerms.length + sourceTerms.length,
  };
}

/** Whether a line whose level's letter this is may match. */
export function takesLevel(plan: SearchPlan, letter: number): boolean {
  return (plan.levels & levelBit(letter)) !== 0;
}

/** Whether a block may have a line that a clause lets through, by its bitmap and what hides in it. */
export function mayHold({ alternatives, hidden }: Clause, bitmap: Uint8Array, flags: number): boolean {
  return (hidden & flags) !== 0 || alternatives.some(({ words }) => hasAll(bitmap, words));
}

/** The pattern of a clause where `bitmap` tells which alternatives there can be, with what may hide a match. */
export function patternOf(
  { alternatives, hidden }: Clause,
  bitmap: Uint8Array | null,
  flags: number,
): string {
  const here = alternatives.filter(({ words }) => bitmap === null || hasAll(bitmap, words));
  const others = hidingPatterns.filter(([flag]) => (flag & hidden & flags) !== 0);
  return [...here.map(({ pattern }) => pattern), ...others.map(([, pattern]) => pattern)].join('|');
}

function hasAll(bitmap: Uint8Array, words: readonly string[]): boolean {
  return words.every((word) => mayContain(bitmap, word));
}

/** Blanks as they may stand around a value, any beyond ASCII among them. */
const GAP = String.raw`[ \t\x80-\xff]*`;
const ANY = hides.escape | hides.folds | hides.number;
const MOST_VALUES = 20;

function clausesOf(term: FilterTerm, names: readonly [string, string][]): Clause[] {
  // What must not be there says nothing of what must.
  if (term.negated) return [];
  switch (term.of) {
    case 'text':
      return contained(term.wanted, hides.folds);
    case 'tenant': {
      const named = names.filter(([, name]) => name.toLowerCase() === term.wanted);
      const ids = [term.wanted, ...named.map(([id]) => id.toLowerCase())];
      return [pair(TENANT_FIELDS, ids, ANY)];
    }
    case 'kind':
    case 'domain':
      return [pair(['kind', 'domain'], [term.wanted], ANY)];
    case 'job':
      return [pair(['queue_id', 'message_id', 'job_id'], [term.wanted], ANY)];
    case 'pair':
      return [pair([term.name], [term.wanted], hides.folds)];
    case 'status':
      return tagged;
    case 'error': {
      // A number may be an error; what it looks like is another matter, up to "Infinity".
      const mayBeNumber = /^[-+.\de]*$/.test(term.wanted) || 'infinity'.includes(term.wanted);
      return [...tagged, ...(mayBeNumber ? [] : contained(term.wanted, ANY))];
    }
    case 'number':
      return term.operator === '!=' ? [] : [number(term.name, term.operator, term.value)];
    case 'level':
    case 'source':
      return [];
  }
}

/** Only a line with a record has a status or an error. */
const tagged: Clause[] = [
  {
    alternatives: [{ words: ['[timing]'], pattern: escaped('[timing]') }],
    hidden: 0,
    passes: null,
    weight: 0,
  },
];

/** A text stands in the line: at least its longest part in ASCII does. */
function contained(wanted: string, hidden: number): Clause[] {
  // Cut texts end in words that stand in no log.
  const parts = wanted.includes('… [cut') ? [] : (wanted.match(/[\t\x20-\x7e]+/g) ?? []);
  const word = parts.reduce((longest, part) => (part.length > longest.length ? part : longest), '');
  if (word === '') return [];
  const alternatives = [{ words: [word], pattern: escaped(word) }];
  return [{ alternatives, hidden, passes: null, weight: word.length }];
}

/** One of these names, and then one of these values. */
function pair(names: readonly string[], values: readonly string[], hidden: number): Clause {
  // The name alone is asked for where the value could be written in more ways than are known here.
  const isPlain =
    values.length <= MOST_VALUES &&
    values.every((value) => /^[\x20-\x7e]+$/.test(value) && !/[\\"]|^\d{16}/.test(value));
  if (!isPlain) return { alternatives: names.flatMap(named), hidden, passes: null, weight: 0 };
  return {
    alternatives: names.flatMap(named).flatMap(({ words, pattern }) =>
      values.map((value) => ({
        words: [...words, value],
        // What goes on is another value; a fraction may be none: 3.0.
        pattern: `${pattern}${GAP}"?${GAP}-?${escaped(value)}${/\w$/.test(value) ? String.raw`(?!\w)` : ''}`,
      })),
    ),
    hidden,
    passes: null,
    weight: 20 + Math.min(...values.map(({ length }) => length)),
  };
}

/** A number of that name which compares so, or one written in another way than plainly. */
function number(field: string, operator: FilterOperator, wanted: number): Clause {
  const names =
    field === 'size' || field === 'message_size'
      ? ['size', 'message_size']
      : field.endsWith('_ms')
        ? [field]
        : [field, `${field}_ms`];
  const alternatives = names.flatMap(named);
  const value = new RegExp(
    String.raw`(?:${alternatives.map(({ pattern }) => pattern).join('|')})${GAP}(?:"${GAP})?(?:(\d{1,15}(?:\.\d{1,9})?)(?=[ \t,;{}()[\]"]|$))?`,
    'gi',
  );
  return {
    alternatives,
    hidden: hides.escape,
    weight: 1,
    passes: (line) => {
      if (line.includes('\\')) return true;
      value.lastIndex = 0;
      for (let found = value.exec(line); found !== null; found = value.exec(line)) {
        const plain = found[1];
        if (plain === undefined || compares(Number(plain), operator, wanted)) return true;
      }
      return false;
    },
  };
}

/** A name before its value, as `name=` or in JSON. */
function named(name: string): Alternative[] {
  return [
    { words: [`${name}=`], pattern: `${escaped(name)}=` },
    { words: [`${name}"`], pattern: `${escaped(name)}"${GAP}:` },
  ];
}

function compares(a: number, operator: FilterOperator, b: number): boolean {
  if (operator === '=') return a === b;
  if (operator === '>') return a > b;
  if (operator === '>=') return a >= b;
  return operator === '<' ? a < b : a <= b;
}

function escaped(word: string): string {
  return word.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
