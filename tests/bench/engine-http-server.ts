// The servers of `bench:engine-http`, each in a process of its own so that its processor time can be told from the
// clients'. Run by engine-http.ts: `ours` or `peer`, and the SQLite file.
import { createServer } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { buffer } from 'node:stream/consumers';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import { AttemptLedger } from '../../src/main/engine/intake/attempt-ledger.ts';
import { IntakeServer } from '../../src/main/engine/intake/intake-server.ts';
import { PullDesk } from '../../src/main/engine/intake/pull-desk.ts';
import { pulledKind, reportWithPulled } from '../../src/main/engine/intake/pulled-kind.ts';
import { PayloadLimits } from '../../src/main/engine/intake/row-refusal.ts';
import { MemoryStore } from '../../src/main/engine/stores/memory-store.ts';

const [which = '', file = '', token = ''] = process.argv.slice(2);
const port = which === 'ours' ? await ours() : await peer();
process.send?.({ port });
process.on('message', () => process.send?.({ cpu: process.cpuUsage() }));
// The bench ends it.
process.on('disconnect', () => process.exit());

/** The intake as `headway worker --http` builds it, without the log. */
async function ours(): Promise<number> {
  const store =
    file === 'memory'
      ? new MemoryStore()
      : (await import('../../src/main/engine/stores/sqlite-store.ts')).SqliteStore.open({ file });
  const attempts = new AttemptLedger();
  const shared = {
    store,
    clock: systemClock,
    owner: 'bench',
    random: Math.random,
    onProblem: (problem: Error) => console.error(problem),
    onAttempt: () => undefined,
  };
  const kind = jobKindSchema.parse({ kind: 'message', handler: { type: 'pull' } });
  const tuning = { workers: 10, order: 'fair' as const, tenants: {} };
  const memory = () => ({ rssBytes: process.memoryUsage.rss(), limitBytes: 2 ** 31 });
  const engine = new Engine({ ...shared, memory }, [pulledKind(kind)], tuning);
  const desk = new PullDesk(shared, [kind], tuning);
  const server = new IntakeServer({
    engine: {
      enqueue: (jobs) => engine.enqueue(jobs),
      enqueueEach: (jobs) => engine.enqueueEach(jobs),
      snapshot: (frontLimit) => engine.snapshot(frontLimit),
      recentOf: (id) => engine.recentOf(id),
      report: () => reportWithPulled(engine.report(), (name) => desk.leasedOf(name)),
    },
    store,
    desk,
    dependentKinds: new Set(),
    payloads: new PayloadLimits(new Map([['message', 50]])),
    attempts,
    clock: systemClock,
    token,
    onProblem: shared.onProblem,
  });
  await engine.start();
  await desk.start();
  return await server.start('127.0.0.1', 0);
}

/**
 * What one would write by hand: node:http and a table; one durable commit a request. Same table settings, same size of
 * messages, first come first served, no checks, no token, no leases that run out.
 */
function peer(): Promise<number> {
  const db = new DatabaseSync(file === 'memory' ? ':memory:' : file);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  db.exec(`CREATE TABLE message (
    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, payload TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0) STRICT`);
  db.exec('CREATE INDEX message_ready ON message (id) WHERE state = 0');
  const insert = db.prepare('INSERT INTO message (tenant, payload) VALUES (?, ?) RETURNING id');
  const take = db.prepare(
    'UPDATE message SET state = 1 WHERE id IN (SELECT id FROM message WHERE state = 0 ORDER BY id LIMIT ?) RETURNING id, tenant, payload',
  );
  const remove = db.prepare('DELETE FROM message WHERE id = ?');
  const inOneCommit = <T>(act: () => T): T => {
    db.exec('BEGIN IMMEDIATE');
    const result = act();
    db.exec('COMMIT');
    return result;
  };
  const answer = (path: string, body: string): unknown => {
    if (path.startsWith('/take')) {
      const claims = take.all(Number(/n=(\d+)/.exec(path)?.[1] ?? 1));
      return {
        claims: claims.map(({ id, tenant, payload }) => ({
          id,
          fence: 1,
          tenant,
          payload: JSON.parse(String(payload)) as unknown,
        })),
      };
    }
    return inOneCommit(() => {
      if (path === '/settle') {
        const { settlements } = JSON.parse(body) as { settlements: { id: number }[] };
        return { taken: settlements.map(({ id }) => remove.run(id).changes > 0) };
      }
      const rows = body
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { tenant: string; payload: unknown });
      return { jobs: rows.map(({ tenant, payload }) => insert.get(tenant, JSON.stringify(payload))) };
    });
  };
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      const text = JSON.stringify(answer(request.url ?? '', body.toString()));
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(text),
      });
      response.end(text);
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
}
