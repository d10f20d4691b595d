// The filter line of the logs: a small language, parsed once and asked for each line. Pure.
//
//   timeout "try again later"     every word and phrase stands in the line, whatever the case
//   -debug                        does not stand in it
//   tenant=3  tenant=mailflow     by the tenant's id, or by its name where it is known
//   level>=warn  status=error  source=mail-1  kind=example.org  job=4711  error=timeout
//   total_ms>1000  deliver_ms>2s  size>1MB     any field of a [TIMING] record
//   queue_id=88                   any other name: key=value or "key": value in the text
import type { TimingRecord } from './timing.ts';

export type FilterLevel = 'debug' | 'info' | 'warn' | 'error';

/** What a filter looks at; a log line of any form fits it. */
export interface FilterLine {
  source: string;
  level: FilterLevel | null;
  text: string;
  timing: TimingRecord | null;
}

export type FilterOperator = '=' | '!=' | '>' | '>=' | '<' | '<=';
type Operator = FilterOperator;

/**
 * What one term asks, for whoever can tell by other means that a line cannot match (the index of stored lines). What `wanted` is
 * compared with is in small letters; `negated` turns the answer round, and `!=` of a word has become that.
 */
export type FilterTerm =
  | {
      of: 'text' | 'source' | 'tenant' | 'status' | 'error' | 'kind' | 'domain' | 'job';
      wanted: string;
      negated: boolean;
    }
  | { of: 'pair'; name: string; wanted: string; negated: boolean }
  | { of: 'level'; operator: Operator; level: FilterLevel; negated: boolean }
  /** Durations in ms, sizes in bytes. A line without such a number is matched by `!=` alone. */
  | { of: 'number'; name: string; operator: Operator; value: number; negated: boolean };

export interface LogFilter {
  readonly text: string;
  /** All of them must hold. */
  readonly terms: readonly FilterTerm[];
  /** What is wrong with terms that were left out. */
  readonly problems: readonly string[];
  readonly isEmpty: boolean;
  matches(line: FilterLine): boolean;
}

type Test = (line: FilterLine) => boolean;
type NameOf = (tenantId: string) => string | undefined;

const TERM = /(-?)(?:"([^"]*)("?)|([A-Za-z_][\w.-]*)(!=|>=|<=|=|>|<)(?:"([^"]*)("?)|(\S*))|(\S+))/g;
const levels: readonly FilterLevel[] = ['debug', 'info', 'warn', 'error'];

/** Parses a filter. A term that is wrong is named in `problems` and does not count. */
export function parseLogFilter(text: string, nameOf: NameOf = () => undefined): LogFilter {
  const terms: FilterTerm[] = [];
  const problems: string[] = [];
  for (const match of text.matchAll(TERM)) {
    const [whole, minus, phrase, phraseEnd, name, operator, quotedValue, valueEnd, bareValue, word] = match;
    if (phraseEnd === '' || valueEnd === '') problems.push(`${whole}: the quote is not closed`);
    const value = quotedValue ?? bareValue ?? '';
    const term =
      name === undefined
        ? wordTerm(phrase ?? word ?? '')
        : fieldTerm(name.toLowerCase(), operator as Operator, value);
    if (typeof term === 'string') problems.push(term);
    else if (term !== null) terms.push(minus === '-' ? { ...term, negated: !term.negated } : term);
  }
  const tests = terms.map((term) => termTest(term, nameOf));
  return {
    text,
    terms,
    problems,
    isEmpty: tests.length === 0,
    matches: (line) => {
      for (const test of tests) if (!test(line)) return false;
      return true;
    },
  };
}

/** Whether a line of this level passes a term on levels. */
export function levelPasses(
  { operator, level, negated }: Extract<FilterTerm, { of: 'level' }>,
  own: FilterLevel | null,
): boolean {
  const passes =
    own === null ? operator === '!=' : compare(levels.indexOf(own), operator, levels.indexOf(level));
  return passes !== negated;
}

/** The filter with one more term; one that it has already is not added again. */
export function withTerm(text: string, term: string): string {
  if (` ${text.trim()} `.includes(` ${term} `)) return text;
  return text.trim() === '' ? term : `${text.trim()} ${term}`;
}

/** The filter without a term. */
export function withoutTerm(text: string, term: string): string {
  return ` ${text.trim()} `.replace(` ${term} `, ' ').trim();
}

/** null for a word of nothing: a lone minus, an empty phrase. */
function wordTerm(word: string): FilterTerm | null {
  if (word === '' || word === '-') return null;
  return { of: 'text', wanted: word.toLowerCase(), negated: false };
}

const wordFields = new Map<string, 'tenant' | 'source' | 'status' | 'error' | 'kind' | 'domain' | 'job'>([
  ['tenant', 'tenant'],
  ['server', 'tenant'],
  ['server_id', 'tenant'],
  ['tenant_id', 'tenant'],
  ['source', 'source'],
  ['status', 'status'],
  ['error', 'error'],
  ['kind', 'kind'],
  ['domain', 'domain'],
  ['job', 'job'],
]);
const isSize = (name: string): boolean => name === 'size' || name === 'message_size';

/** What the field is asked, or what is wrong with the question. */
function fieldTerm(name: string, operator: Operator, value: string): FilterTerm | string {
  if (value === '') return `${name}${operator} needs a value`;
  const wanted = value.toLowerCase();
  if (name === 'level') {
    const level = levels.find((one) => one === wanted || (wanted === 'warning' && one === 'warn'));
    if (level === undefined) return `level is debug, info, warn or error, not ${wanted}`;
    return { of: 'level', operator, level, negated: false };
  }
  const isEquality = operator === '=' || operator === '!=';
  const negated = operator === '!=';
  const field = wordFields.get(name);
  if (field !== undefined) {
    if (!isEquality) return `${name} takes = or !=, not ${operator}`;
    if (field === 'status' && !['success', 'error'].includes(wanted))
      return `status is success or error, not ${value}`;
    return { of: field, wanted, negated };
  }
  if (isSize(name) || name.endsWith('_ms') || !isEquality) return numberTerm(name, operator, value);
  return { of: 'pair', name, wanted, negated };
}

function termTest(term: FilterTerm, nameOf: NameOf): Test {
  if (term.of === 'level') return ({ level }) => levelPasses(term, level);
  if (term.of === 'number') return numberTest(term);
  const { negated } = term;
  const says = wordTest(term, nameOf);
  return (line) => says(line) !== negated;
}

/** Whether a line says what a term wants, its negation aside. */
function wordTest(term: Exclude<FilterTerm, { of: 'level' | 'number' }>, nameOf: NameOf): Test {
  const { wanted } = term;
  switch (term.of) {
    case 'text':
      return ({ text }) => text.toLowerCase().includes(wanted);
    case 'tenant': {
      const inText = ['server_id', 'tenant_id', 'tenant'].map(pairIn);
      return ({ timing, text }) => {
        const id = timing?.tenantId ?? inText.map((find) => find(text)).find((found) => found !== undefined);
        return id !== undefined && (id.toLowerCase() === wanted || nameOf(id)?.toLowerCase() === wanted);
      };
    }
    case 'source':
      return ({ source }) => source.toLowerCase().includes(wanted);
    case 'status':
      return ({ timing }) => timing?.status === wanted;
    case 'error':
      return ({ timing }) => timing?.error?.toLowerCase().includes(wanted) === true;
    case 'kind':
    case 'domain': {
      const inText = pairIn(term.of);
      return ({ timing, text }) => (timing === null ? inText(text) : timing.kind)?.toLowerCase() === wanted;
    }
    case 'job':
      return ({ timing }) => timing?.jobId?.toLowerCase() === wanted;
    case 'pair': {
      const inText = pairIn(term.name);
      return ({ text }) => inText(text)?.toLowerCase() === wanted;
    }
  }
}

function numberTerm(name: string, operator: Operator, value: string): FilterTerm | string {
  const isTime = name.endsWith('_ms');
  const wanted = readNumber(value, isSize(name) ? sizeUnits : isTime ? timeUnits : {});
  if (wanted === null) {
    const example = isTime ? ' of ms, or 2s, 5m' : isSize(name) ? ' of bytes, or 20kB, 1MB' : '';
    return `${name}${operator} needs a number${example}, not ${value}`;
  }
  return { of: 'number', name, operator, value: wanted, negated: false };
}

function numberTest({ name, operator, value, negated }: Extract<FilterTerm, { of: 'number' }>): Test {
  const stage = name.endsWith('_ms') ? name.slice(0, -3) : name;
  const inText = pairIn(name);
  return (line) => {
    const { timing, text } = line;
    const own =
      timing === null
        ? undefined
        : isSize(name)
          ? timing.sizeBytes
          : name === 'total_ms'
            ? timing.totalMs
            : timing.stages[stage];
    const found = own ?? Number(inText(text) ?? NaN);
    return (Number.isNaN(found) ? operator === '!=' : compare(found, operator, value)) !== negated;
  };
}

const timeUnits: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };
const sizeUnits: Record<string, number> = { b: 1, k: 1_000, kb: 1_000, m: 1_000_000, mb: 1_000_000 };

function readNumber(value: string, units: Record<string, number>): number | null {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(value) ?? [];
  if (digits === undefined) return null;
  const factor = unit === '' ? 1 : units[unit.toLowerCase()];
  return factor === undefined ? null : Number(digits) * factor;
}

function compare(a: number, operator: Operator, b: number): boolean {
  switch (operator) {
    case '=':
      return a === b;
    case '!=':
      return a !== b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
  }
}

/** Finds the value of `key=value` or `"key": value` in a text. */
function pairIn(name: string): (text: string) => string | undefined {
  const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const pattern = new RegExp(
    `(?:^|[\\s,({[])(?:${escaped}=|"${escaped}"\\s*:\\s*)(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,;{}()[\\]"]+))`,
    'i',
  );
  return (text) => {
    const found = pattern.exec(text);
    return found?.[1] ?? found?.[2];
  };
}
