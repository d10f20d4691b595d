// The part of a statement that finds rows, without the part that writes or locks them: what an account that may only read
// can have explained.
import { sqlTokens, type SqlDialect, type SqlToken } from './sql-tokens.ts';

/** A word or symbol, or what stands between brackets. */
type Part = SqlToken | { kind: 'group'; parts: Part[] };

/**
 * UPDATE and DELETE become a SELECT of the same rows, and locks are not taken: the same conditions, order and limit, wherever
 * they stand in the statement. Null where it cannot be told (an INSERT, several tables updated at once).
 */
export function readingPart(sql: string, dialect: SqlDialect): string | null {
  const tokens = sqlTokens(sql, dialect).filter(({ kind }) => kind !== 'comment');
  try {
    return written(reading(grouped(tokens)))
      .trim()
      .replace(/;\s*$/, '');
  } catch (error) {
    if (error instanceof NotReadable) return null;
    throw error;
  }
}

class NotReadable extends Error {}

function grouped(tokens: readonly SqlToken[]): Part[] {
  const open: Part[][] = [[]];
  for (const token of tokens) {
    const inner = open.at(-1) ?? [];
    if (token.text === '(' && token.kind === 'symbol') open.push([]);
    else if (token.text === ')' && token.kind === 'symbol') {
      open.pop();
      const outer = open.at(-1);
      if (outer === undefined) throw new NotReadable();
      outer.push({ kind: 'group', parts: inner });
    } else inner.push(token);
  }
  if (open.length !== 1) throw new NotReadable();
  return open[0] ?? [];
}

const written = (parts: readonly Part[]): string =>
  parts.map((part) => (part.kind === 'group' ? `(${written(part.parts)})` : part.text)).join('');

const isWord = (part: Part | undefined, ...words: string[]): boolean =>
  part?.kind === 'word' && words.includes(part.text.toUpperCase());

/** Where one of the words stands outside of brackets, or -1. */
const find = (parts: readonly Part[], from: number, ...words: string[]): number =>
  parts.findIndex((part, at) => at >= from && isWord(part, ...words));

function reading(parts: readonly Part[]): Part[] {
  const inner = parts.map((part): Part =>
    part.kind === 'group' ? { kind: 'group', parts: reading(part.parts) } : part,
  );
  const first = inner.findIndex((part) => part.kind !== 'space');
  // In brackets stand lists of values and of columns too; what reads or writes begins with its verb.
  const begins = isWord(inner[first], 'WITH')
    ? find(inner, first, 'SELECT', 'UPDATE', 'DELETE', 'INSERT')
    : first;
  const verb = inner[begins];
  if (isWord(verb, 'INSERT', 'REPLACE', 'MERGE')) throw new NotReadable();
  if (isWord(verb, 'SELECT')) return withoutLocks(inner);
  const before = inner.slice(0, Math.max(0, begins));
  if (isWord(verb, 'UPDATE')) return [...before, ...fromUpdate(inner.slice(begins + 1))];
  if (isWord(verb, 'DELETE')) return [...before, ...fromDelete(inner.slice(begins + 1))];
  return inner;
}

/** `[FROM] table [alias] SET … [FROM more] [WHERE …]` and what follows. */
function fromUpdate(parts: readonly Part[]): Part[] {
  const set = find(parts, 0, 'SET');
  if (set < 0) throw new NotReadable();
  const from = find(parts, set, 'FROM');
  const where = find(parts, set, 'WHERE', 'ORDER', 'LIMIT', 'RETURNING');
  const table = parts.slice(0, set);
  const more = from < 0 ? [] : [comma, ...parts.slice(from + 1, where < 0 ? undefined : where)];
  return selecting([...table, ...more], where < 0 ? [] : parts.slice(where));
}

/** `FROM table [alias] [USING more] [WHERE …]` and what follows. */
function fromDelete(parts: readonly Part[]): Part[] {
  const from = parts.findIndex((part) => part.kind !== 'space');
  if (!isWord(parts[from], 'FROM')) throw new NotReadable();
  const where = find(parts, 0, 'WHERE', 'ORDER', 'LIMIT', 'RETURNING');
  const tables = parts.slice(from + 1, where < 0 ? undefined : where);
  const using = find(tables, 0, 'USING');
  const all = using < 0 ? tables : [...tables.slice(0, using), comma, ...tables.slice(using + 1)];
  return selecting(all, where < 0 ? [] : parts.slice(where));
}

function selecting(tables: readonly Part[], rest: readonly Part[]): Part[] {
  const [name] = tables.filter((part) => part.kind !== 'space');
  if (name === undefined || isWord(name, 'LOW_PRIORITY', 'IGNORE', 'QUICK')) throw new NotReadable();
  const returning = find(rest, 0, 'RETURNING');
  const columns = returning < 0 ? [one] : rest.slice(returning + 1);
  return [
    ...[word('SELECT '), ...columns, word(' FROM'), blank, ...tables, blank],
    ...(returning < 0 ? rest : rest.slice(0, returning)),
  ];
}

/** Without FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE, LOCK IN SHARE MODE and what they are told. */
function withoutLocks(parts: readonly Part[]): Part[] {
  const at = parts.findIndex(
    (part, i) =>
      (isWord(part, 'FOR') && isWord(after(parts, i), 'UPDATE', 'NO', 'SHARE', 'KEY')) ||
      (isWord(part, 'LOCK') && isWord(after(parts, i), 'IN')),
  );
  // A lock is the last clause of its SELECT; what may follow is another SELECT.
  const end = at < 0 ? -1 : find(parts, at, 'UNION', 'INTERSECT', 'EXCEPT');
  if (at < 0) return [...parts];
  return [...parts.slice(0, at), ...(end < 0 ? [] : withoutLocks(parts.slice(end)))];
}

const after = (parts: readonly Part[], at: number): Part | undefined =>
  parts.slice(at + 1).find((part) => part.kind !== 'space');

const word = (text: string): Part => ({ kind: 'word', text });
const comma: Part = { kind: 'symbol', text: ', ' };
const blank: Part = { kind: 'space', text: ' ' };
const one: Part = { kind: 'literal', text: '1' };
