// The conditions of a plan's scan, as servers write them out, and how far an index on certain columns would follow them.
import { sqlTokens, type SqlDialect, type SqlToken } from './sql-tokens.ts';

export interface Condition {
  /** As the server wrote it; it can stand in a statement. */
  text: string;
  /** Of the scanned table, unquoted; empty where the condition is not of columns alone that an index could follow. */
  columns: readonly string[];
  /** One value, one of several, a range, or nothing that a B-tree follows. */
  kind: 'equal' | 'one-of' | 'range' | 'other';
}

/** The parts of a condition that must all hold. `alias`: what the scanned table is called in it. */
export function conditionsOf(text: string, alias: string, dialect: SqlDialect): Condition[] {
  const tokens = unwrapped(sqlTokens(text, dialect));
  const parts: SqlToken[][] = [[]];
  let depth = 0;
  let between = false;
  for (const token of tokens) {
    if (token.kind === 'symbol') depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
    const word = depth === 0 && token.kind === 'word' ? token.text.toUpperCase() : '';
    if (word === 'BETWEEN') between = true;
    if (word !== 'AND') parts.at(-1)?.push(token);
    else if (between) {
      between = false;
      parts.at(-1)?.push(token);
    } else parts.push([]);
  }
  if (parts.length === 1) return tokens.length === 0 ? [] : [conditionOf(tokens, alias)];
  return parts.flatMap((part) => conditionsOf(written(part), alias, dialect));
}

const written = (tokens: readonly SqlToken[]): string =>
  tokens
    .map(({ text }) => text)
    .join('')
    .trim();

/** Without brackets around the whole. */
function unwrapped(tokens: readonly SqlToken[]): SqlToken[] {
  const from = tokens.findIndex(({ kind }) => kind !== 'space');
  const to = tokens.findLastIndex(({ kind }) => kind !== 'space');
  const inner = tokens.slice(Math.max(0, from), to + 1);
  if (inner[0]?.text !== '(' || inner.at(-1)?.text !== ')') return inner;
  let depth = 0;
  for (const [at, { kind, text }] of inner.entries()) {
    if (kind === 'symbol') depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    if (depth === 0) return at === inner.length - 1 ? unwrapped(inner.slice(1, -1)) : inner;
  }
  return inner;
}

function conditionOf(tokens: readonly SqlToken[], alias: string): Condition {
  const bare = tokens.filter(({ kind }) => kind !== 'space');
  let depth = 0;
  const isEither = bare.some(({ kind, text }) => {
    if (kind === 'symbol') depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    return depth === 0 && kind === 'word' && /^x?or$/i.test(text);
  });
  return { text: written(tokens), ...(isEither ? other : comparison(bare, alias)) };
}

type Comparison = Pick<Condition, 'columns' | 'kind'>;
const other: Comparison = { columns: [], kind: 'other' };

function comparison(tokens: readonly SqlToken[], alias: string): Comparison {
  const isNot = tokens[0]?.text.toUpperCase() === 'NOT';
  const front = leadingColumns(tokens.slice(isNot ? 1 : 0), alias);
  if (front === null) return commuted(tokens, alias);
  const { columns, rest } = front;
  // A boolean column is its own comparison.
  if (rest.length === 0) return { columns, kind: 'equal' };
  if (isNot) return other;
  const words = rest.slice(0, 2).map(({ text }) => text.toUpperCase());
  if (words[0] === 'IS') return { columns, kind: words[1] === 'NULL' ? 'equal' : 'range' };
  if (words[0] === 'BETWEEN') return { columns, kind: 'range' };
  if (words[0] === 'IN') return { columns, kind: 'one-of' };
  const operator = operatorAt(rest);
  const kind = kinds[operator];
  if (kind === undefined) return other;
  const isAny = kind === 'equal' && rest[operator.length]?.text.toUpperCase() === 'ANY';
  return { columns, kind: isAny ? 'one-of' : columns.length > 1 && kind === 'equal' ? 'range' : kind };
}

const kinds: Record<string, Condition['kind'] | undefined> = {
  ...{ '=': 'equal', '<=>': 'equal' },
  ...{ '<': 'range', '>': 'range', '<=': 'range', '>=': 'range' },
};

/** `now() >= j.run_at`: the column stands last. */
function commuted(tokens: readonly SqlToken[], alias: string): Comparison {
  const tail = leadingColumns(tokens.slice(-3), alias);
  if (tail === null || tail.rest.length > 0 || tail.columns.length !== 1) return other;
  const before = tokens.slice(0, -3).reverse();
  const operator = Array.from(operatorAt(before)).reverse().join('');
  return { columns: tail.columns, kind: kinds[operator] ?? 'other' };
}

function operatorAt(tokens: readonly SqlToken[]): string {
  const end = tokens.findIndex(({ kind, text }) => kind !== 'symbol' || !/[=<>!~]/.test(text));
  return tokens
    .slice(0, end < 0 ? undefined : end)
    .map(({ text }) => text)
    .join('');
}

/** A column, one that is only taken for text, or a row of columns, and what follows it. */
function leadingColumns(
  tokens: readonly SqlToken[],
  alias: string,
): { columns: string[]; rest: readonly SqlToken[] } | null {
  const first = tokens[0]?.text;
  if (first === 'ROW' || (first === '(' && tokens.some(({ text }) => text === ','))) {
    const end = tokens.findIndex(({ text }) => text === ')');
    const inner = tokens.slice(first === 'ROW' ? 2 : 1, end);
    const columns = splitAtCommas(inner).map((part) => columnAt(part, alias));
    if (columns.some((column) => column === null || column.length > 0)) return null;
    return { columns: columns.flatMap((column) => column?.name ?? []), rest: tokens.slice(end + 1) };
  }
  if (first === '(') {
    const inner = columnAt(tokens.slice(1), alias);
    if (inner === null) return null;
    const rest = inner.rest;
    if (rest[0]?.text !== ')') return null;
    return { columns: [inner.name], rest: withoutTextCast(rest.slice(1)) };
  }
  const column = columnAt(tokens, alias);
  return column && { columns: [column.name], rest: withoutTextCast(column.rest) };
}

function columnAt(
  tokens: readonly SqlToken[],
  alias: string,
): { name: string; rest: readonly SqlToken[]; length: number } | null {
  // MySQL puts the database in front.
  for (const at of [0, 2]) {
    const [table, dot, column] = tokens.slice(at, at + 3);
    if (dot?.text !== '.' || table === undefined || column === undefined) continue;
    if (unquoted(table.text) !== alias || !isName(column) || tokens[at + 3]?.text === '.') continue;
    const rest = tokens.slice(at + 3);
    return { name: unquoted(column.text), rest, length: rest.length };
  }
  return null;
}

const isName = ({ kind }: SqlToken) => kind === 'name' || kind === 'word';

/** A name without its quotes. */
export const unquoted = (name: string): string =>
  name.startsWith('"')
    ? name.slice(1, -1).replaceAll('""', '"')
    : name.startsWith('`')
      ? name.slice(1, -1).replaceAll('``', '`')
      : name;

function withoutTextCast(tokens: readonly SqlToken[]): readonly SqlToken[] {
  const [first, second, type] = tokens.map(({ text }) => text);
  return first === ':' && second === ':' && type === 'text' ? tokens.slice(3) : tokens;
}

function splitAtCommas(tokens: readonly SqlToken[]): SqlToken[][] {
  const parts: SqlToken[][] = [[]];
  for (const token of tokens) {
    if (token.text === ',') parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}

export interface Reach {
  /** What an index on the columns would be searched by. */
  followed: Condition[];
  /** Whether it yields the rows in the order asked for, so that a limit ends the reading. */
  ordered: boolean;
}

/**
 * How a B-tree on `columns` would be used: by equality on its first columns, then by a range on the next. `sortedBy`: columns of
 * the order, all in one direction; null where none is asked for, empty where no index can yield it.
 */
export function reachOf(
  columns: readonly string[],
  conditions: readonly Condition[],
  sortedBy: readonly string[] | null,
): Reach {
  const followed = new Set<Condition>();
  let ordered = true;
  let at = 0;
  for (; at < columns.length; at++) {
    const on = conditions.filter(({ columns: [first, more] }) => first === columns[at] && more === undefined);
    const same = on.filter(({ kind }) => kind === 'equal' || kind === 'one-of');
    if (same.length === 0) break;
    for (const condition of same) followed.add(condition);
    if (same.every(({ kind }) => kind === 'one-of')) ordered = false;
  }
  const next = columns[at];
  for (const condition of conditions) {
    const isNext =
      condition.columns[0] === next && condition.columns.every((column) => columns.includes(column));
    if (next !== undefined && condition.kind === 'range' && isNext) followed.add(condition);
  }
  const rest = columns.slice(at);
  const sorted =
    sortedBy === null || (sortedBy.length > 0 && sortedBy.every((column, i) => rest[i] === column));
  return { followed: [...followed], ordered: ordered && sorted };
}
