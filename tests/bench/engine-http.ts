// What the engine's HTTP face carries: `node tests/bench/engine-http.ts [seconds per phase] [rounds] [sqlite|memory]`.
// Messages are pushed, then taken and settled, in batches of 1, 10 and 100, by 32 connections; then one client asks for
// 8 MB and does not read, and the others are timed with it and without it.
//
// Peer: pg-boss and Graphile Worker have no HTTP, and a server around either measures PostgreSQL. So the peer is what one
// would write by hand instead of this face: node:http, one SQLite table with the same durability, one commit a request,
// first come first served (engine-http-server.ts). It does less: no token, no checks, no fair order, no leases. What we
// must make up for that is that requests of one moment share a commit.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { tempDir } from '../harness/temp.ts';
import { BenchClient, requestBytes } from './engine-http-client.ts';

const phaseMs = Number(process.argv[2] ?? 2) * 1000;
const rounds = Number(process.argv[3] ?? 3);
const storeKind = process.argv[4] === 'memory' ? 'memory' : 'sqlite';
const CONNECTIONS = 32;
const TENANTS = 50;
const TOKEN = 'bench-token-bench-token';
const BATCHES = [1, 10, 100];

const heard = z.union([
  z.object({ port: z.int() }),
  z.object({ cpu: z.object({ user: z.number(), system: z.number() }) }),
]);
const claimsSchema = z.object({ claims: z.array(z.object({ id: z.int(), fence: z.int() })) });

interface Server extends AsyncDisposable {
  port: number;
  /** Processor time of the server so far, s. */
  cpuS: () => Promise<number>;
}
interface Figure {
  perS: number;
  /** Messages for each second of the server's processor time: what one core carries. */
  perCoreS: number;
}

async function startServer(which: 'ours' | 'peer', file: string): Promise<Server> {
  const child: ChildProcess = fork(join(import.meta.dirname, 'engine-http-server.ts'), [which, file, TOKEN], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const gone = once(child, 'exit').then(() => Promise.reject(new Error(`the server (${which}) ended`)));
  gone.catch(() => undefined);
  const listen = async () =>
    heard.parse(((await Promise.race([once(child, 'message'), gone])) as unknown[])[0]);
  const first = await listen();
  if (!('port' in first)) throw new Error('the server said no port');
  return {
    port: first.port,
    async cpuS() {
      const answer = listen();
      child.send('cpu');
      const said = await answer;
      return 'cpu' in said ? (said.cpu.user + said.cpu.system) / 1e6 : 0;
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

const row = (i: number): string =>
  JSON.stringify({
    kind: 'message',
    tenant: `t${i % TENANTS}`,
    payload: { to: `user${i}@example.com`, subject: 'hello', body: 'x'.repeat(100) },
  });

/** Every connection asks again and again until time is up; `messages` that one answer stood for are added. */
async function measure(
  server: Server,
  forMs: number,
  act: (client: BenchClient, i: number) => Promise<number>,
): Promise<Figure> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => BenchClient.open(server.port)));
  const cpuBefore = await server.cpuS();
  const beganMs = performance.now();
  let messages = 0;
  await Promise.all(
    clients.map(async (client, c) => {
      for (let i = c; performance.now() - beganMs < forMs; i += CONNECTIONS) {
        const done = await act(client, i);
        if (done === 0) return;
        messages += done;
      }
    }),
  );
  const tookS = (performance.now() - beganMs) / 1000;
  const cpuS = (await server.cpuS()) - cpuBefore;
  for (const client of clients) client[Symbol.dispose]();
  return { perS: messages / tookS, perCoreS: messages / cpuS };
}

async function push(server: Server, batch: number): Promise<Figure> {
  const requests = Array.from({ length: TENANTS }, (_, i) =>
    batch === 1
      ? requestBytes(TOKEN, '/jobs', 'application/json', row(i))
      : requestBytes(
          TOKEN,
          '/jobs',
          'application/x-ndjson',
          Array.from({ length: batch }, (__, j) => row(i + j)).join('\n'),
        ),
  );
  return await measure(server, phaseMs, async (client, i) => {
    await client.ask(requests[i % requests.length] ?? Buffer.alloc(0));
    return batch;
  });
}

/** One message is taken and settled: two requests a batch. */
async function takeAndSettle(server: Server, batch: number): Promise<Figure> {
  const take = requestBytes(TOKEN, `/take?n=${batch}`, 'application/json', '');
  return await measure(server, phaseMs, async (client) => {
    const { claims } = claimsSchema.parse(JSON.parse(await client.ask(take)));
    if (claims.length === 0) return 0;
    const settlements = claims.map(({ id, fence }) => ({ id, fence, result: 'done' }));
    await client.ask(requestBytes(TOKEN, '/settle', 'application/json', JSON.stringify({ settlements })));
    return claims.length;
  });
}

/** p99 of the answers to small pushes, ms. */
async function smallPushP99(server: Server): Promise<number> {
  using client = await BenchClient.open(server.port);
  const times: number[] = [];
  const request = requestBytes(TOKEN, '/jobs', 'application/json', row(1));
  const beganMs = performance.now();
  while (performance.now() - beganMs < phaseMs) {
    const askedMs = performance.now();
    await client.ask(request);
    times.push(performance.now() - askedMs);
    await sleep(1);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? 0;
}

/** Others' p99 while nobody is slow, then while one client has asked for 8 MB and reads nothing. */
async function slowClient(server: Server): Promise<{ alone: number; beside: number }> {
  const payload = 'x'.repeat(2_000_000);
  {
    using client = await BenchClient.open(server.port);
    const large = JSON.stringify({ kind: 'message', tenant: 'large', payload });
    for (let i = 0; i < 4; i++) await client.ask(requestBytes(TOKEN, '/jobs', 'application/json', large));
  }
  // The first second of a server is its compiler's.
  await smallPushP99(server);
  const alone = await smallPushP99(server);
  const slow = connect(server.port, '127.0.0.1').on('error', () => undefined);
  await once(slow, 'connect');
  slow.pause();
  slow.write(requestBytes(TOKEN, '/take?n=4', 'application/json', ''));
  await sleep(100);
  const beside = await smallPushP99(server);
  slow.destroy();
  return { alone, beside };
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const show = (value: number): string => Math.round(value).toLocaleString('en').padStart(9);

await using folder = await tempDir('bench-http');
const figures = new Map<string, { ours: Figure[]; peer: Figure[] }>();
for (let round = 0; round < rounds; round++) {
  for (const which of ['ours', 'peer'] as const) {
    for (const batch of BATCHES) {
      const file = storeKind === 'memory' ? 'memory' : join(folder.path, `${which}-${batch}-${round}.db`);
      await using server = await startServer(which, file);
      for (const [name, act] of [
        ['push', push],
        ['take and settle', takeAndSettle],
      ] as const) {
        const key = `${name} ${batch}`;
        const both = figures.get(key) ?? { ours: [], peer: [] };
        both[which].push(await act(server, batch));
        figures.set(key, both);
      }
    }
  }
}
console.log(
  `store: ${storeKind}; ${CONNECTIONS} connections, ${TENANTS} tenants, median of ${rounds} rounds`,
);
console.log('batch                  ours/s   peer/s  ratio   ours/core s  peer/core s');
const ratios = new Map<string, { ours: number; peer: number }>();
for (const [key, { ours, peer }] of figures) {
  const of = (list: Figure[], field: keyof Figure) => median(list.map((figure) => figure[field]));
  const both = { ours: of(ours, 'perS'), peer: of(peer, 'perS') };
  ratios.set(key, both);
  console.log(
    `${key.padEnd(20)} ${show(both.ours)} ${show(both.peer)} ${(both.ours / both.peer).toFixed(2).padStart(6)} ` +
      `${show(of(ours, 'perCoreS')).padStart(12)} ${show(of(peer, 'perCoreS')).padStart(12)}`,
  );
}
await using server = await startServer(
  'ours',
  storeKind === 'memory' ? 'memory' : join(folder.path, 'slow.db'),
);
// Single runs of a p99 wander on a busy machine.
const slow = [await slowClient(server), await slowClient(server), await slowClient(server)];
const alone = median(slow.map((each) => each.alone));
const beside = median(slow.map((each) => each.beside));
console.log(
  `p99 of small pushes: ${alone.toFixed(2)} ms; beside a client that reads nothing: ${beside.toFixed(2)} ms`,
);

const single = ratios.get('push 1') ?? { ours: 0, peer: 1 };
console.log(
  JSON.stringify({
    bench: 'engine-http',
    ours: Math.round(single.ours),
    peer: Math.round(single.peer),
    ratio: Math.round((single.ours / single.peer) * 100) / 100,
    unit: 'messages/s pushed one by one',
    // A slow client may cost the others no more than the noise of a p99: a millisecond, or half as much again.
    holds: single.ours > single.peer && beside <= Math.max(alone + 1, alone * 1.5),
  }),
);
