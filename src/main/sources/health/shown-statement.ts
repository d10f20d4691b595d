// What a person may see of somebody else's statement.
import { sqlTokens, type SqlDialect } from './sql-tokens.ts';

/** What is shown of a statement at most. */
const SHOWN_CHARS = 500;

/** The statement on one line, with a question mark for every literal, without its comments, cut to 500 characters. */
export function shownStatement(sql: string, dialect: SqlDialect): string {
  let shown = '';
  for (const { kind, text } of sqlTokens(sql, dialect)) {
    if (kind === 'space' || kind === 'comment') shown += shown === '' || shown.endsWith(' ') ? '' : ' ';
    else shown += kind === 'literal' ? '?' : text;
    if (shown.length > SHOWN_CHARS) return `${shown.slice(0, SHOWN_CHARS - 1)}…`;
  }
  return shown.trimEnd();
}
