// The index advisor on MariaDB: what it expects against what the handler reads.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { indexAdviceSchema } from '../../src/contract/database-health.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import { adviseMysqlIndexes } from '../../src/main/sources/health/mysql-index-advice.ts';
import type { ExaminedStatement } from '../../src/main/sources/health/watched-tables.ts';
import { MysqlSession } from '../../src/main/sources/mysql-session.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';

const never = new AbortController().signal;
const JOBS = '`s-1`.`Jobs`';
const ROWS = 30_000;
let maria: MariaDb;
let root: Connection;

beforeAll(async () => {
  maria = await startMariaDb();
  root = await maria.connect();
  await root.query(
    `CREATE DATABASE \`s-1\`; USE \`s-1\`;
     CREATE USER reader@'%' IDENTIFIED BY 'pass'; GRANT SELECT ON \`s-1\`.* TO reader@'%';
     CREATE TABLE ${JOBS} (id int PRIMARY KEY, user_id int NOT NULL, state varchar(20) NOT NULL, run_at datetime NOT NULL,
                           locked_by varchar(100), pad varchar(200)) ENGINE=InnoDB;
     INSERT INTO ${JOBS} SELECT seq, seq * 7 % 300, IF(seq % 5 = 0, 'queued', 'done'), NOW() - INTERVAL seq SECOND, NULL, REPEAT('x', 100)
       FROM seq_1_to_${ROWS}`,
  );
});
afterAll(async () => {
  await root.end();
  await maria[Symbol.asyncDispose]();
});
beforeEach(async () => {
  const [rows] = await root.query<RowDataPacket[]>(
    "SELECT DISTINCT INDEX_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_NAME = 'Jobs' AND INDEX_NAME <> 'PRIMARY'",
  );
  for (const row of rows) await root.query(`DROP INDEX \`${String(row['name'])}\` ON ${JOBS}`);
  await root.query(`ANALYZE TABLE ${JOBS}`);
});

async function advice(statements: ExaminedStatement[], tables = [JOBS]) {
  const { host, port } = maria;
  const settings = databaseSchema.parse({ host, port, user: 'reader', database: 's-1' });
  await using session = await MysqlSession.open(
    { settings, password: 'pass', statementTimeoutMs: 3_000 },
    never,
  );
  return indexAdviceSchema.parse(await adviseMysqlIndexes(session, { tables, statements }, never));
}

/** Rows that the handler reads for a statement. */
async function readRows(statement: string): Promise<number> {
  await root.query(`FLUSH STATUS; START TRANSACTION; ${statement}`);
  const [rows] = await root.query<RowDataPacket[]>("SHOW SESSION STATUS LIKE 'Handler_read%'");
  await root.query('ROLLBACK');
  return rows.reduce((sum, row) => sum + Number(row['Value']), 0);
}

const want = (columns: string[]) => ({
  table: JOBS,
  columns,
  where: null,
  why: `because of ${columns.join()}`,
});
const claim: ExaminedStatement = {
  name: 'The claim',
  sql: `UPDATE ${JOBS} SET state = 'busy', locked_by = 'w' WHERE user_id = 5 AND state = 'queued' ORDER BY run_at LIMIT 2`,
  wants: [want(['user_id', 'state', 'run_at'])],
};
const locking: ExaminedStatement = {
  ...claim,
  sql: `SELECT id FROM ${JOBS} WHERE user_id = 5 AND state = 'queued' ORDER BY run_at LIMIT 2 FOR UPDATE`,
};
const claimed: ExaminedStatement = {
  name: 'What it has claimed',
  sql: `SELECT * FROM Jobs AS j WHERE j.locked_by = 'w' LIMIT 7`,
  wants: [want(['locked_by'])],
};
const list: ExaminedStatement = {
  name: 'Jobs of a user',
  sql: `SELECT id FROM ${JOBS} WHERE user_id = 5 AND state <> 'done'`,
  wants: [want(['user_id', 'state'])],
};

test('missing indexes are told with what they would save, and no longer once they are there under any name', async () => {
  const { missing, examined } = await advice([claim, claimed, list]);
  expect(missing.map(({ ddl }) => ddl).sort()).toEqual([
    `CREATE INDEX \`Jobs_locked_by\` ON ${JOBS} (\`locked_by\`) ALGORITHM=INPLACE LOCK=NONE;`,
    `CREATE INDEX \`Jobs_user_id_state_run_at\` ON ${JOBS} (\`user_id\`, \`state\`, \`run_at\`) ALGORITHM=INPLACE LOCK=NONE;`,
  ]);
  for (const { rows, plan } of examined) {
    expect(plan).toContain('ALL');
    expect(Math.abs((rows ?? NaN) - ROWS) / ROWS).toBeLessThan(0.2);
  }
  const found = new Map(missing.map((each) => [each.why, each]));
  // What begins it is left to it.
  expect(found.get('because of user_id,state,run_at. because of user_id,state')?.rowsThen).toBeNull();
  expect((await advice([locking])).missing[0]?.rowsThen).toBe(2);
  expect(found.get('because of locked_by')?.rowsThen).toBe(7);
  const [alone] = (await advice([list])).missing;
  expect([alone?.rowsNow === null, alone?.rowsThen], 'no statistics tell').toEqual([false, null]);
  for (const { ddl } of missing)
    await root.query(ddl.replace(/INDEX `(?<name>.*?)`/, 'INDEX `other $<name>`'));
  await root.query(`ANALYZE TABLE ${JOBS}`);
  expect((await advice([claim, claimed, list])).missing).toEqual([]);
  expect(await readRows(locking.sql)).toBeLessThan(5);
  // It changes the state that it is found by.
  expect(await readRows(claim.sql)).toBeGreaterThan(50);
  const [sizes] = await root.query<RowDataPacket[]>(
    `SELECT index_name AS name, stat_value * @@innodb_page_size AS bytes FROM mysql.innodb_index_stats
      WHERE table_name = 'Jobs' AND stat_name = 'size' AND index_name LIKE 'other%'`,
  );
  for (const { ddl, sizeBytes } of missing) {
    const name = `other ${/INDEX `(.*?)`/.exec(ddl)?.[1] ?? ''}`;
    const built = Number(sizes.find((row) => row['name'] === name)?.['bytes']);
    expect((sizeBytes ?? NaN) / built).toBeGreaterThan(0.4);
    // A text is taken for 32 bytes; none of locked_by is written.
    expect((sizeBytes ?? NaN) / built).toBeLessThan(6);
  }
});

test('a write is explained by what it reads, and never run', async () => {
  const { examined } = await advice([
    claim,
    { name: 'insert', sql: `INSERT INTO ${JOBS} SELECT * FROM ${JOBS}`, wants: [] },
  ]);
  expect(examined[0]).toMatchObject({ problem: expect.stringContaining('what it reads alone') as string });
  expect(examined[1]).toMatchObject({
    plan: null,
    problem: expect.stringContaining('explains no write') as string,
  });
  const [rows] = await root.query<RowDataPacket[]>(
    `SELECT COUNT(*) AS n FROM ${JOBS} WHERE state = 'busy' OR locked_by IS NOT NULL`,
  );
  expect(rows[0]?.['n']).toBe(0);
});

test('statistics of another index tell what one would read; one that serves well enough is enough', async () => {
  await root.query(`CREATE INDEX by_user ON ${JOBS} (user_id)`);
  await root.query(`ANALYZE TABLE ${JOBS}`);
  expect((await advice([claim, list])).missing).toEqual([]);
  const unforced: ExaminedStatement = {
    ...list,
    sql: `SELECT id FROM ${JOBS} IGNORE INDEX (by_user) WHERE user_id = 5`,
  };
  const { missing } = await advice([unforced]);
  // 300 users.
  expect(missing[0]?.rowsThen).toBeGreaterThan(40);
  expect(missing[0]?.rowsThen).toBeLessThan(250);
});

test('the key of the table is the end of every index; the start of a value and an ignored index serve nobody', async () => {
  const byUser: ExaminedStatement = {
    name: 'Walk',
    sql: `SELECT id FROM ${JOBS} IGNORE INDEX (i) WHERE user_id = 5 ORDER BY id LIMIT 5`,
    wants: [want(['user_id', 'id'])],
  };
  await root.query(`CREATE INDEX i ON ${JOBS} (user_id)`);
  expect((await advice([byUser])).missing).toEqual([]);
  const byLock = { ...claimed };
  await root.query(`CREATE INDEX part ON ${JOBS} (locked_by(5))`);
  const { missing } = await advice([
    { ...byLock, sql: 'SELECT * FROM Jobs j IGNORE INDEX (part) WHERE j.locked_by = "w"' },
  ]);
  expect(missing).toHaveLength(1);
  await root.query(`CREATE INDEX hidden ON ${JOBS} (locked_by) IGNORED`);
  expect(
    (await advice([{ ...byLock, sql: 'SELECT * FROM Jobs j IGNORE INDEX (part) WHERE j.locked_by = "w"' }]))
      .missing,
  ).toHaveLength(1);
  await root.query(`ALTER TABLE ${JOBS} ALTER INDEX hidden NOT IGNORED`);
  expect((await advice([byLock])).missing).toEqual([]);
});

test('rows of joins, unions and subqueries are added up as the plan nests them', async () => {
  await root.query('CREATE TABLE IF NOT EXISTS `s-1`.few AS SELECT seq AS id FROM seq_1_to_10');
  const sql = [
    `SELECT COUNT(*) FROM few f JOIN ${JOBS} j ON j.id = f.id`,
    `(SELECT id FROM ${JOBS} WHERE pad = 'a' LIMIT 3) UNION ALL (SELECT id FROM ${JOBS} WHERE pad = 'b' LIMIT 3)`,
    `SELECT d.n FROM (SELECT COUNT(*) AS n FROM ${JOBS} GROUP BY state) d`,
    `SELECT (SELECT pad FROM ${JOBS} j WHERE j.id = f.id) FROM few f`,
  ];
  const { examined } = await advice(sql.map((text, at) => ({ name: String(at), sql: text, wants: [] })));
  const near = (at: number, expected: number) => {
    expect([at, Math.abs((examined[at]?.rows ?? NaN) - expected) / expected < 0.2]).toEqual([at, true]);
  };
  near(0, 20);
  near(1, 2 * ROWS);
  near(2, ROWS);
  near(3, 20);
});

test('small tables, tables that are not there and statements that fail', async () => {
  await root.query('CREATE TABLE IF NOT EXISTS `s-1`.small AS SELECT seq AS id, 1 AS a FROM seq_1_to_5000');
  const { missing, examined } = await advice(
    [
      { name: 'small', sql: 'SELECT * FROM small WHERE a = 2', wants: [{ ...want(['a']), table: 'small' }] },
      { name: 'gone', sql: 'SELECT * FROM gone', wants: [{ ...want(['a']), table: '`gone`' }] },
      { name: 'odd', sql: 'SELEKT', wants: [] },
    ],
    ['`no`.`such`'],
  );
  expect(missing).toEqual([]);
  expect(examined.map(({ plan }) => plan !== null)).toEqual([true, false, false]);
  expect(examined.map(({ problem }) => problem !== null)).toEqual([false, true, true]);
});
