// A host with made-up data behind the real web face: for looking at the window without a database, and for
// measuring it. `node tests/harness/synthetic-host.ts --tenants 1000 --lines 1000` prints the URL to open.
import { logSearchPlay } from './synthetic/log-search-play.ts';
import { draftPlay } from './synthetic/draft-play.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { MethodHandlers, StreamHandlers } from '../../src/contract/api.ts';
import type { ConnectionSummary, OverviewDelta } from '../../src/contract/live.ts';
import { HeadwayError } from '../../src/contract/errors.ts';
import type { EngineView } from '../../src/contract/engine-report.ts';
import type { Rehearsal } from '../../src/contract/rehearsal.ts';
import { THIS_COMPUTER } from '../../src/contract/settings.ts';
import { seededRandom } from '../../src/core/seeded-random.ts';
import { Dispatcher } from '../../src/main/host/dispatcher.ts';
import { rowChange } from '../../src/main/monitor/overview-feed.ts';
import { WebFace } from '../../src/main/host/web-face.ts';
import { AlertPlay, syntheticRules } from './synthetic/alert-play.ts';
import {
  playTest,
  syntheticConnections,
  syntheticSettings,
  waitingTest,
} from './synthetic/connection-play.ts';
import { EnginePlay } from './synthetic/engine-play.ts';
import { Fleet } from './synthetic/fleet.ts';
import { playHistory } from './synthetic/history-play.ts';
import { syntheticEngine } from './synthetic/kinds-play.ts';
import { LogPlay } from './synthetic/log-play.ts';
import { lookPlay } from './synthetic/look-play.ts';
import { RehearsalPlay } from './synthetic/rehearsal-play.ts';

export interface SyntheticOptions {
  tenants: number;
  tickMs: number;
  linesPerS: number;
  seed: number;
  /** 0 takes a free one. */
  port: number;
  /** The built window. */
  windowDirectory: string;
}
/** Has an engine to look into; `engine` is one whose store is another machine's database. */
const hasEngine = ({ kind }: { kind: string }): boolean => kind === 'local-engine' || kind === 'engine';

/** Tenants of connections that are not there to be measured. */
const ownCounts: Partial<Record<ConnectionSummary['kind'], number>> = { 'local-engine': 41, queue: 34 };

const defaults: SyntheticOptions = {
  tenants: 1_000,
  tickMs: 1_000,
  linesPerS: 1_000,
  seed: 1,
  port: 0,
  windowDirectory: resolve(import.meta.dirname, '../../out/renderer'),
};

/** What all listeners of a stream hear. */
class Bell<T> {
  readonly #listeners = new Set<(value: T) => void>();
  ring(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }
  listen(listener: (value: T) => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }
}

export interface SyntheticHost extends AsyncDisposable {
  /** The address to open, signed in. */
  url: string;
}

export async function startSyntheticHost(given: Partial<SyntheticOptions> = {}): Promise<SyntheticHost> {
  const options = { ...defaults, ...given };
  const dataDirectory = await mkdtemp(join(tmpdir(), 'headway-synthetic-'));
  const stage = new Stage(options);
  const logger = { warn: console.warn, error: console.error };
  const dispatcher = new Dispatcher({ methods: stage.methods, streams: stage.streams, logger });
  const { windowDirectory, port } = options;
  const face = new WebFace({ dispatcher, windowDirectory, dataDirectory, logger, port });
  await face.start();
  return {
    url: face.url,
    async [Symbol.asyncDispose]() {
      stage.stop();
      await face.stop();
      dispatcher.close('the play is over');
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}

class Stage {
  readonly methods: MethodHandlers;
  readonly streams: StreamHandlers;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor({ tenants, tickMs, linesPerS, seed }: SyntheticOptions) {
    const random = seededRandom(seed);
    const startedAtMs = Date.now();
    const connections = syntheticConnections(startedAtMs);
    const rules = structuredClone(syntheticRules);
    const plays = connections.map((connection) => {
      const count = connection.state.kind !== 'live' ? 0 : (ownCounts[connection.kind] ?? tenants);
      return {
        connection,
        fleet: new Fleet({ connection, tenants: count, tickMs, random }, startedAtMs),
        alerts: new AlertPlay(connection, rules, random, startedAtMs),
        overview: new Bell<OverviewDelta['changed']>(),
        log: new LogPlay({ random, tenants: Math.max(1, count), linesPerS }),
        lines: new Bell<ReturnType<LogPlay['next']>>(),
      };
    });
    const play = (id: string) => {
      const found = plays.find(({ connection }) => connection.id === id);
      if (found === undefined) throw new HeadwayError('not-found', `There is no connection ${id}.`);
      return found;
    };
    const alerts = new Bell<ReturnType<AlertPlay['judge']> & object>();
    const rehearsals = new Bell<Rehearsal>();
    const rehearsal = new RehearsalPlay(startedAtMs);
    const engineViews = new Bell<EngineView>();
    const engines = new Map(
      plays.flatMap(({ connection, fleet }) =>
        hasEngine(connection)
          ? [
              [
                connection.id,
                new EnginePlay(
                  {
                    place: connection.kind === 'local-engine' ? 'local' : 'database',
                    tenants: fleet.rows.map(({ id }) => id),
                    random,
                  },
                  startedAtMs,
                ),
              ] as const,
            ]
          : [],
      ),
    );
    const engine = (id: string): EnginePlay => {
      const found = engines.get(id);
      if (found === undefined) throw new HeadwayError('not-found', `${id} has no engine.`);
      return found;
    };
    /** Answers, then shows everybody what came of it. */
    const changed = <T>(connectionId: string, answer: T): Promise<T> => {
      engineViews.ring(engine(connectionId).tick(Date.now()));
      return Promise.resolve(answer);
    };
    let engineSettings = syntheticEngine;

    this.#timers.push(
      setInterval(() => {
        for (const { fleet, alerts: judge, overview } of plays) {
          const before = fleet.rows;
          const rows = fleet.tick(Date.now());
          // Only the fields that differ, as the backend does.
          const changed = rows
            .map((row, index) => rowChange(before[index], row))
            .filter((change) => change !== null);
          overview.ring(changed);
          const change = judge.judge(rows, Date.now());
          if (change !== null) alerts.ring(change);
        }
      }, tickMs),
      setInterval(() => {
        for (const played of engines.values()) engineViews.ring(played.tick(Date.now()));
      }, 1_000),
      setInterval(() => {
        for (const { log, lines, connection } of plays)
          if (connection.state.kind === 'live') lines.ring(log.next(Math.round(linesPerS / 10), Date.now()));
      }, 100),
    );

    this.methods = {
      'app.info': () =>
        Promise.resolve({
          version: '0.1.0',
          node: process.versions.node,
          platform: process.platform,
          dataDirectory: '/home/anna/.local/share/headway',
          settingsFile: '/home/anna/.config/headway/settings.json',
          secrets: 'in a file that only you can read (0600)',
          startedAtMs,
        }),
      'connections.get': ({ id }) => Promise.resolve(syntheticSettings(play(id).connection.id)),
      'connections.save': ({ connection }) => Promise.resolve({ id: connection.id }),
      'connections.remove': () => Promise.resolve({}),
      'hostKeys.accept': () => Promise.resolve({}),
      'history.query': (query) => Promise.resolve(playHistory(query)),
      'alerts.acknowledge': ({ alertId }) => {
        for (const { alerts: judge } of plays) {
          const alert = judge.acknowledge(alertId, Date.now());
          if (alert !== null) alerts.ring({ changed: [alert], events: [], notify: [] });
        }
        return Promise.resolve({});
      },
      ...logSearchPlay.methods,
      ...draftPlay,
      ...lookPlay((id) => {
        const { connection, fleet } = play(id);
        return { connection, rows: () => fleet.rows };
      }, startedAtMs),
      'rules.list': () => Promise.resolve(rules),
      'rules.change': ({ rule: id, change }) => {
        const rule = rules.find((candidate) => candidate.id === id);
        const scale = rule?.unit === 'ms' ? 1_000 : 1;
        if (rule !== undefined) {
          if (change.enabled !== undefined) rule.enabled = change.enabled;
          if (change.warning !== undefined)
            rule.warning = change.warning === null ? null : change.warning * scale;
          if (change.critical !== undefined)
            rule.critical = change.critical === null ? null : change.critical * scale;
        }
        return Promise.resolve({});
      },
      'rehearsal.set': (change) => {
        const now = rehearsal.change(change, Date.now());
        const { cured } = rehearsal;
        play(THIS_COMPUTER).fleet.setTempers((temper) =>
          cured && temper === 'starved' ? 'wavy' : !cured && temper === 'wavy' ? 'starved' : temper,
        );
        rehearsals.ring(now);
        return Promise.resolve(now);
      },
      'rehearsal.act': () => {
        play(THIS_COMPUTER).fleet.burst('1', 50);
        return Promise.resolve({});
      },
      'engine.deadJobs': (input) => Promise.resolve(engine(input.connectionId).deadJobs(input)),
      'engine.blockedJobs': (input) => Promise.resolve(engine(input.connectionId).blockedJobs(input)),
      'engine.job': ({ connectionId, id }) => Promise.resolve(engine(connectionId).job(id)),
      'engine.hold': (input) => {
        engine(input.connectionId).hold(input, Date.now());
        return changed(input.connectionId, {});
      },
      'engine.unhold': (input) =>
        changed(input.connectionId, { held: engine(input.connectionId).unhold(input) }),
      'engine.bulk': (input) =>
        changed(input.connectionId, { jobId: engine(input.connectionId).bulk(input, Date.now()) }),
      'engine.stopBulk': ({ connectionId, jobId }) => {
        engine(connectionId).stopBulk(jobId);
        return changed(connectionId, {});
      },
      'engine.enqueue': (input) => Promise.resolve({ id: engine(input.connectionId).enqueue(input) }),
      'engine.settings': () => Promise.resolve(engineSettings),
      'engine.saveSettings': (settings) => {
        engineSettings = settings;
        return Promise.resolve({});
      },
    };

    const tenantView = (connectionId: string, tenantId: string) => {
      const row = play(connectionId).fleet.rows.find(({ id }) => id === tenantId);
      if (row === undefined) throw new HeadwayError('not-found', `There is no server ${tenantId}.`);
      const stage = (name: string, p50Ms: number) => ({
        stage: name,
        count: 412,
        p50Ms,
        p95Ms: p50Ms * 2.4,
        p99Ms: p50Ms * 5,
        maxMs: p50Ms * 7,
        rawMs: null,
      });
      const stages = [stage('load', 4), stage('inspect', 14), stage('dkim', 9), stage('deliver', 310)];
      return { asOfMs: Date.now(), row, stages, timingWindowMs: 300_000 };
    };
    this.streams = {
      connections: () => Promise.resolve(connections),
      overview: ({ connectionId }, sink, signal) => {
        const { fleet, overview } = play(connectionId);
        overview.listen(
          (changed) => sink.emit({ head: fleet.head(Date.now()), changed, removed: [] }),
          signal,
        );
        return Promise.resolve({ head: fleet.head(Date.now()), rows: fleet.rows });
      },
      tenant: ({ connectionId, tenantId }, sink, signal) => {
        play(connectionId).overview.listen(() => sink.emit(tenantView(connectionId, tenantId)), signal);
        return Promise.resolve(tenantView(connectionId, tenantId));
      },
      logs: ({ connectionId }, sink, signal) => {
        const { log, lines } = play(connectionId);
        lines.listen((tail) => sink.emit(tail), signal);
        return Promise.resolve(log.tail(500));
      },
      ...logSearchPlay.streams,
      alerts: (_, sink, signal) => {
        alerts.listen((change) => sink.emit(change), signal);
        return Promise.resolve({
          alerts: plays.flatMap(({ alerts: judge }) => judge.alerts),
          events: plays.flatMap(({ alerts: judge }) => [...judge.events]).sort((a, b) => a.atMs - b.atMs),
        });
      },
      engine: ({ connectionId }, sink, signal) => {
        const played = engine(connectionId);
        engineViews.listen((view) => {
          if (view === played.view) sink.emit(view);
        }, signal);
        return Promise.resolve(played.view);
      },
      rehearsal: (_, sink, signal) => {
        rehearsals.listen((now) => sink.emit(now), signal);
        return Promise.resolve(rehearsal.now);
      },
      notices: () => Promise.resolve([]),
      connectionTest: (_, sink, signal) => {
        void playTest((test) => sink.emit(test), signal);
        return Promise.resolve(waitingTest);
      },
    };
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      tenants: { type: 'string', default: '1000' },
      lines: { type: 'string', default: '1000' },
      port: { type: 'string', default: '0' },
    },
  });
  const host = await startSyntheticHost({
    tenants: Number(values.tenants),
    linesPerS: Number(values.lines),
    port: Number(values.port),
  });
  console.log(host.url);
  const end = () => void host[Symbol.asyncDispose]().then(() => process.exit(0));
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
}
