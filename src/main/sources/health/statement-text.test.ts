import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readingPart } from './reading-part.ts';
import { shownStatement } from './shown-statement.ts';
import { sqlTokens } from './sql-tokens.ts';

test.each([
  ["SELECT * FROM jobs WHERE id = 17 AND name='O''Brien'", 'SELECT * FROM jobs WHERE id = ? AND name=?'],
  [
    `UPDATE "t 1" SET a = E'it\\'s', b = $1 -- secret\n WHERE c = $tag$ x ' $$ y $tag$`,
    'UPDATE "t 1" SET a = ?, b = $1 WHERE c = ?',
  ],
  ['/* route:/login */ SELECT /* a /* b */ 7 */ 1.5e3', 'SELECT ?'],
  ["INSERT INTO t VALUES ('cut off in the mid", 'INSERT INTO t VALUES (?'],
  ['SELECT x1, ta$ble FROM пошта2', 'SELECT x1, ta$ble FROM пошта2'],
])('PostgreSQL: %s', (sql, shown) => expect(shownStatement(sql, 'postgres')).toBe(shown));

test.each([
  [`SELECT "a\\"b", 'it\\'s' FROM \`odd "name\` # it's\n LIMIT 3`, 'SELECT ?, ? FROM `odd "name` LIMIT ?'],
  ["SELECT 1--1, x'ff', _utf8mb4'é'", 'SELECT ?--?, ?, _utf8mb4?'],
  ['SELECT /*! STRAIGHT_JOIN */ a', 'SELECT a'],
])('MySQL: %s', (sql, shown) => expect(shownStatement(sql, 'mysql')).toBe(shown));

test('a long statement is cut', () => {
  const shown = shownStatement(`SELECT ${'column_name, '.repeat(1000)}1`, 'postgres');
  expect([shown.length, shown.at(-1)]).toEqual([500, '…']);
});

test('no text of a literal is shown, and no character of a statement is lost, whatever it holds', () => {
  const quoted = fc.string({ unit: fc.constantFrom('SECRET', "''", '"', '`', ' ', '-- ', '/*', '$$', '#') });
  fc.assert(
    fc.property(quoted, fc.constantFrom('postgres' as const, 'mysql' as const), (text, dialect) => {
      const sql = `SELECT a FROM t WHERE b = '${text}' AND c = 1`;
      expect(shownStatement(sql, dialect)).toBe('SELECT a FROM t WHERE b = ? AND c = ?');
    }),
  );
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('postgres' as const, 'mysql' as const), (sql, dialect) => {
      expect(
        sqlTokens(sql, dialect)
          .map(({ text }) => text)
          .join(''),
      ).toBe(sql);
    }),
  );
});

const flat = (sql: string | null) => sql?.replaceAll(/\s+/g, ' ') ?? null;

test.each([
  [
    'SELECT id FROM j WHERE a = 1 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED;',
    'SELECT id FROM j WHERE a = 1 ORDER BY id LIMIT 1',
  ],
  ["UPDATE j SET s = 'a, FROM b' WHERE id = 3", 'SELECT 1 FROM j WHERE id = 3'],
  [
    'WITH next AS (SELECT id FROM "p"."j" WHERE (x) > (1) LIMIT 5 FOR NO KEY UPDATE OF j SKIP LOCKED) UPDATE p.j AS k SET s = (SELECT 1), n = n + 1 FROM next WHERE k.id = next.id RETURNING k.id, k.s',
    'WITH next AS (SELECT id FROM "p"."j" WHERE (x) > (1) LIMIT 5 ) SELECT k.id, k.s FROM p.j AS k , next WHERE k.id = next.id ',
  ],
  [
    'WITH gone AS (DELETE FROM j USING o WHERE j.o = o.id RETURNING j.id) SELECT * FROM gone',
    'WITH gone AS (SELECT j.id FROM j , o WHERE j.o = o.id ) SELECT * FROM gone',
  ],
  ['UPDATE j SET a = 1', 'SELECT 1 FROM j '],
  ["SELECT substring(a FROM 'x' FOR 3) FROM j", "SELECT substring(a FROM 'x' FOR 3) FROM j"],
  [
    '(SELECT 1 FROM a FOR SHARE) UNION ALL (SELECT 2 FROM b)',
    '(SELECT 1 FROM a ) UNION ALL (SELECT 2 FROM b)',
  ],
])('PostgreSQL: what %s reads', (sql, read) => expect(flat(readingPart(sql, 'postgres'))).toBe(read.trim()));

test.each([
  [
    'UPDATE `q` SET `locked_by` = "w" WHERE `locked_by` IS NULL ORDER BY id LIMIT 1',
    'SELECT 1 FROM `q` WHERE `locked_by` IS NULL ORDER BY id LIMIT 1',
  ],
  ['SELECT a FROM q WHERE b LOCK IN SHARE MODE', 'SELECT a FROM q WHERE b '],
  ['DELETE FROM q WHERE id IN (1, 2)', 'SELECT 1 FROM q WHERE id IN (1, 2)'],
])('MySQL: what %s reads', (sql, read) => expect(flat(readingPart(sql, 'mysql'))).toBe(read.trim()));

test.each([
  'INSERT INTO j VALUES (1)',
  'WITH a AS (INSERT INTO j VALUES (1) RETURNING id) SELECT * FROM a',
  'SELECT (1',
])('nothing is made up for %s', (sql) => expect(readingPart(sql, 'postgres')).toBeNull());
