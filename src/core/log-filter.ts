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

export interface LogFilter {
  readonly text: string;
  /** What is wrong with terms that were left out. */
  readonly problems: readonly string[];
  readonly isEmpty: boolean;
  matches(line: FilterLine): boolean;
}

type Operator = '=' | '!=' | '>' | '>=' | '<' | '<=';
type Test = (line: FilterLine) => boolean;
type NameOf = (tenantId: string) => string | undefined;

const TERM = /(-?)(?:"([^"]*)("?)|([A-Za-z_][\w.-]*)(!=|>=|<=|=|>|<)(?:"([^"]*)("?)|(\S*))|(\S+))/g;
const levels: readonly FilterLevel[] = ['debug', 'info', 'warn', 'error'];

/** Parses a filter. A term that is wrong is named in `problems` and does not count. */
export function parseLogFilter(text: string, nameOf: NameOf = () => undefined): LogFilter {
  const tests: Test[] = [];
  const problems: string[] = [];
  for (const match of text.matchAll(TERM)) {
    const [whole, minus, phrase, phraseEnd, name, operator, quotedValue, valueEnd, bareValue, word] = match;
    if (phraseEnd === '' || valueEnd === '') problems.push(`${whole}: the quote is not closed`);
    const value = quotedValue ?? bareValue ?? '';
    const made =
      name === undefined
        ? contains(phrase ?? word ?? '')
        : fieldTest(name.toLowerCase(), operator as Operator, value, nameOf);
    if (typeof made === 'string') problems.push(made);
    else if (made !== null) tests.push(minus === '-' ? not(made) : made);
  }
  return {
    text,
    problems,
    isEmpty: tests.length === 0,
    matches: (line) => {
      for (const test of tests) if (!test(line)) return false;
      return true;
    },
  };
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

const not =
  (test: Test): Test =>
  (line) =>
    !test(line);

/** null for a word of nothing: a lone minus, an empty phrase. */
function contains(word: string): Test | null {
  if (word === '' || word === '-') return null;
  const wanted = word.toLowerCase();
  return (line) => line.text.toLowerCase().includes(wanted);
}

/** What the field is asked, or what is wrong with the question. */
function fieldTest(name: string, operator: Operator, value: string, nameOf: NameOf): Test | string {
  if (value === '') return `${name}${operator} needs a value`;
  if (name === 'level') return levelTest(operator, value.toLowerCase());
  const own = textOf(name, nameOf);
  if (own !== null) {
    if (operator !== '=' && operator !== '!=') return `${name} takes = or !=, not ${operator}`;
    if (name === 'status' && !['success', 'error'].includes(value.toLowerCase()))
      return `status is success or error, not ${value}`;
    const wanted = value.toLowerCase();
    const equal: Test = (line) => own(line, wanted);
    return operator === '=' ? equal : not(equal);
  }
  const isSize = name === 'size' || name === 'message_size';
  if (isSize || name.endsWith('_ms') || (operator !== '=' && operator !== '!='))
    return numberTest(name, operator, value, isSize);
  const found = pairIn(name);
  const wanted = value.toLowerCase();
  const equal: Test = (line) => found(line.text)?.toLowerCase() === wanted;
  return operator === '=' ? equal : not(equal);
}

function levelTest(operator: Operator, value: string): Test | string {
  const wanted = levels.findIndex((level) => level === value || (value === 'warning' && level === 'warn'));
  if (wanted < 0) return `level is debug, info, warn or error, not ${value}`;
  return (line) => {
    if (line.level === null) return operator === '!=';
    return compare(levels.indexOf(line.level), operator, wanted);
  };
}

/** Fields that are words; each says whether a line's own equals the wanted one (in small letters). */
function textOf(name: string, nameOf: NameOf): ((line: FilterLine, wanted: string) => boolean) | null {
  switch (name) {
    case 'tenant':
    case 'server':
    case 'server_id':
    case 'tenant_id': {
      const inText = ['server_id', 'tenant_id', 'tenant'].map(pairIn);
      return ({ timing, text }, wanted) => {
        const id = timing?.tenantId ?? inText.map((find) => find(text)).find((found) => found !== undefined);
        return id !== undefined && (id.toLowerCase() === wanted || nameOf(id)?.toLowerCase() === wanted);
      };
    }
    case 'source':
      return ({ source }, wanted) => source.toLowerCase().includes(wanted);
    case 'status':
      return ({ timing }, wanted) => timing?.status === wanted;
    case 'error':
      return ({ timing }, wanted) => timing?.error?.toLowerCase().includes(wanted) === true;
    case 'kind':
    case 'domain':
      return ({ timing, text }, wanted) =>
        (timing === null ? pairIn(name)(text) : timing.kind)?.toLowerCase() === wanted;
    case 'job':
      return ({ timing }, wanted) => timing?.jobId?.toLowerCase() === wanted;
    default:
      return null;
  }
}

function numberTest(name: string, operator: Operator, value: string, isSize: boolean): Test | string {
  const isTime = name.endsWith('_ms');
  const wanted = readNumber(value, isSize ? sizeUnits : isTime ? timeUnits : {});
  if (wanted === null) {
    const example = isTime ? ' of ms, or 2s, 5m' : isSize ? ' of bytes, or 20kB, 1MB' : '';
    return `${name}${operator} needs a number${example}, not ${value}`;
  }
  const stage = isTime ? name.slice(0, -3) : name;
  const inText = pairIn(name);
  return (line) => {
    const { timing, text } = line;
    const own =
      timing === null
        ? undefined
        : isSize
          ? timing.sizeBytes
          : name === 'total_ms'
            ? timing.totalMs
            : timing.stages[stage];
    const found = own ?? Number(inText(text) ?? NaN);
    return Number.isNaN(found) ? operator === '!=' : compare(found, operator, wanted);
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
