// The words of an SQL statement. It need not be whole: servers cut what they show of a running one.

export type SqlDialect = 'postgres' | 'mysql';

export interface SqlToken {
  kind: 'space' | 'comment' | 'literal' | 'name' | 'word' | 'symbol';
  text: string;
}

type Rule = readonly [kind: SqlToken['kind'], pattern: RegExp];

const space: Rule = ['space', /\s+/y];
const number: Rule = ['literal', /\d[\w.]*/y];
const word: Rule = ['word', /[\p{L}_][\p{L}\p{N}_$]*/uy];
const symbol: Rule = ['symbol', /[\s\S]/uy];

/** The first that fits counts. What is not closed reaches to the end. */
const rules: Record<SqlDialect, readonly Rule[]> = {
  postgres: [
    space,
    ['comment', /--[^\n]*/y],
    ['literal', /[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|\\?$)/y],
    ['literal', /(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|$)/y],
    ['literal', /\$((?:[\p{L}_][\p{L}\p{N}_]*)?)\$[\s\S]*?(?:\$\1\$|$)/uy],
    ['name', /(?:[uU]&)?"(?:[^"]|"")*(?:"|$)/y],
    // A parameter is no literal.
    ['symbol', /\$\d+/y],
    number,
    word,
    symbol,
  ],
  mysql: [
    space,
    ['comment', /--(?=\s|$)[^\n]*|#[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y],
    ['literal', /[bBxXnN]?'(?:[^'\\]|\\[\s\S]|'')*(?:'|\\?$)/y],
    ['literal', /"(?:[^"\\]|\\[\s\S]|"")*(?:"|\\?$)/y],
    ['name', /`(?:[^`]|``)*(?:`|$)/y],
    number,
    word,
    symbol,
  ],
};

export function sqlTokens(sql: string, dialect: SqlDialect): SqlToken[] {
  const tokens: SqlToken[] = [];
  let at = 0;
  while (at < sql.length) {
    const token = nestedComment(sql, at, dialect) ?? tokenAt(sql, at, dialect);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

function tokenAt(sql: string, at: number, dialect: SqlDialect): SqlToken {
  for (const [kind, pattern] of rules[dialect]) {
    pattern.lastIndex = at;
    const text = pattern.exec(sql)?.[0];
    if (text !== undefined && text !== '') return { kind, text };
  }
  // Half of a surrogate pair, where the server cut one.
  return { kind: 'symbol', text: sql.charAt(at) };
}

/** PostgreSQL's comments hold others. */
function nestedComment(sql: string, from: number, dialect: SqlDialect): SqlToken | null {
  if (dialect !== 'postgres' || !sql.startsWith('/*', from)) return null;
  const marks = /\/\*|\*\//g;
  marks.lastIndex = from;
  let depth = 0;
  for (let mark = marks.exec(sql); mark !== null; mark = marks.exec(sql)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return { kind: 'comment', text: sql.slice(from, marks.lastIndex) };
  }
  return { kind: 'comment', text: sql.slice(from) };
}
