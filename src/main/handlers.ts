// The contract's methods and streams, answered by the services. No logic of its own: each line hands over.
import type { MethodHandlers, MethodOutput, StreamHandlers } from '../contract/api.ts';
import { HeadwayError } from '../contract/errors.ts';
import type { AlertRule } from '../core/alert.ts';
import type { AlertService } from './alerts/alert-service.ts';
import type { ConnectionEditor } from './connection-editor.ts';
import type { ConnectionTester } from './connection-tester.ts';
import type { Connections } from './connections.ts';
import type { EngineHost } from './engine/engine-host.ts';
import type { EngineAdmins } from './engine-admins.ts';
import type { HistoryStore } from './history/history-store.ts';
import type { HostKeys } from './logs/host-keys.ts';
import type { LogStore } from './log-store/log-store.ts';
import type { Clock } from './monitor/clock.ts';
import type { Notices } from './notices.ts';
import type { QueueDrafts } from './queue-drafts.ts';
import type { OpenSettings } from './settings/settings-origin.ts';

export interface Services {
  info: MethodOutput<'app.info'>;
  connections: Connections;
  editor: ConnectionEditor;
  tester: ConnectionTester;
  drafts: QueueDrafts;
  hostKeys: HostKeys;
  history: HistoryStore;
  logStore: LogStore;
  alerts: AlertService;
  notices: Notices;
  /** null where settings switch this computer's engine off. */
  engine: EngineHost | null;
  engines: EngineAdmins;
  settings: Pick<OpenSettings, 'current' | 'update'>;
  rulesOf: (connectionId: string) => AlertRule[];
  /** Who acknowledges and pauses: the system's user. */
  user: string;
  clock: Clock;
}

export function methodHandlers(services: Services): MethodHandlers {
  const { connections, editor, drafts, hostKeys, history, logStore, alerts, engines, settings, user, clock } =
    services;
  const nothing = {};
  return {
    'app.info': () => Promise.resolve(services.info),
    'connections.get': ({ id }) => Promise.resolve(editor.get(id)),
    'connections.save': async ({ connection, secrets }) => {
      // A new secret alone leaves the settings as they were: what runs must look it up again.
      const secretAlone = Object.keys(secrets).length > 0 && connections.runs(connection);
      await editor.save(connection, secrets);
      if (secretAlone) await connections.restart(connection);
      // The caller opens it next.
      await connections.settled();
      return { id: connection.id };
    },
    'connections.remove': async ({ id }) => {
      await editor.remove(id);
      await connections.settled();
      return nothing;
    },
    'hostKeys.accept': async ({ host, port, fingerprint }) => {
      await hostKeys.accept(host, port, fingerprint);
      return nothing;
    },
    'history.query': (query) => history.query(query),
    'logs.stored': ({ connectionId }) => logStore.stored(connections.get(connectionId).id),
    'logs.context': ({ connectionId, at, before, after }) =>
      logStore.context(connections.get(connectionId).id, at, before, after),
    'timing.analysis': (query) => {
      connections.get(query.connectionId);
      return history.timingAnalysis(query);
    },
    'timing.sizes': (query, signal) => {
      connections.get(query.connectionId);
      return logStore.sizes(query, signal);
    },
    'alerts.acknowledge': ({ alertId }) => {
      alerts.acknowledge(alertId, user, clock.now());
      return Promise.resolve(nothing);
    },
    'rules.list': ({ connectionId }) => {
      connections.get(connectionId);
      return Promise.resolve(services.rulesOf(connectionId));
    },
    'rules.change': async ({ connectionId, rule, change }) => {
      await editor.changeRule(connectionId, rule, change);
      return nothing;
    },
    'rehearsal.set': (change) => engineOf(services).setRehearsal(change),
    'rehearsal.act': async () => {
      await engineOf(services).act();
      return nothing;
    },
    'queue.capabilities': ({ connectionId }, signal) =>
      connections.get(connectionId).details.capabilities(signal),
    'queue.jobs': ({ connectionId, ...query }, signal) =>
      connections.get(connectionId).details.jobs(query, signal),
    'queue.job': ({ connectionId, id }, signal) => connections.get(connectionId).details.job(id, signal),
    'queue.locks': ({ connectionId, ...query }, signal) =>
      connections.get(connectionId).details.locks(query, signal),
    'queue.health': ({ connectionId }, signal) => connections.get(connectionId).details.health(signal),
    'queue.indexAdvice': ({ connectionId }, signal) =>
      connections.get(connectionId).details.indexAdvice(signal),
    'queue.detect': (draft, signal) => drafts.detect(draft, signal),
    'queue.proposeMapping': (draft, signal) => drafts.proposeMapping(draft, signal),
    'queue.preview': (draft, signal) => drafts.preview(draft, signal),
    'engine.deadJobs': ({ connectionId, filter, afterId, limit }) =>
      engines.look(connectionId).deadJobs(filter, afterId, limit),
    'engine.blockedJobs': ({ connectionId, filter, afterId, limit }) =>
      engines.look(connectionId).blockedJobs(filter, afterId, limit),
    'engine.job': ({ connectionId, id }) => engines.look(connectionId).job(id),
    'engine.hold': async ({ connectionId, ...hold }) => {
      await engines.act(connectionId, (engine) => engine.hold({ ...hold, by: user }));
      return nothing;
    },
    'engine.unhold': async ({ connectionId, ...scope }) => ({
      held: await engines.act(connectionId, (engine) => engine.unhold(scope)),
    }),
    'engine.bulk': async ({ connectionId, what, filter }) => ({
      jobId: await engines.act(connectionId, (engine) => engine.bulk(what, filter)),
    }),
    'engine.stopBulk': async ({ connectionId, jobId }) => {
      await engines.act(connectionId, (engine) => engine.stopBulk(jobId));
      return nothing;
    },
    'engine.enqueue': async ({ connectionId, ...job }) => {
      const [enqueued] = await engines.act(connectionId, (engine) => engine.enqueue([job]));
      if (!enqueued) throw new Error('the engine enqueued nothing');
      return { id: enqueued.id };
    },
    'engine.settings': () => Promise.resolve(settings.current.engine),
    'engine.saveSettings': async (engine) => {
      await settings.update((before) => ({ ...before, engine }));
      return nothing;
    },
  };
}

export function streamHandlers(services: Services): StreamHandlers {
  const { connections, logStore, alerts, notices, engine, engines, tester, clock } = services;
  return {
    connections: (_params, { emit }, signal) => Promise.resolve(connections.follow(emit, signal)),
    overview: ({ connectionId }, sink, signal) => {
      const monitor = connections.get(connectionId);
      monitor.onStop(() => sink.fail(removed(connectionId)), signal);
      return Promise.resolve(monitor.followOverview(sink.emit, signal));
    },
    tenant: ({ connectionId, tenantId }, sink, signal) => {
      const monitor = connections.get(connectionId);
      monitor.onStop(() => sink.fail(removed(connectionId)), signal);
      return Promise.resolve(monitor.followTenant(tenantId, sink, signal));
    },
    logs: ({ connectionId }, sink, signal) => {
      const monitor = connections.get(connectionId);
      monitor.onStop(() => sink.fail(removed(connectionId)), signal);
      return Promise.resolve(monitor.logs.follow(sink.emit, clock.now(), signal));
    },
    logSearch: (search, sink, signal) => {
      const { tenantNames } = connections.get(search.connectionId);
      return firstThenRest((tell) => logStore.search(search, tenantNames, tell, signal), sink);
    },
    alerts: (_params, { emit }, signal) => Promise.resolve(alerts.follow(emit, signal)),
    engine: ({ connectionId }, sink, signal) => {
      connections.get(connectionId).onStop(() => sink.fail(removed(connectionId)), signal);
      return engines.follow(connectionId, sink.emit, signal);
    },
    rehearsal: (_params, { emit }, signal) => Promise.resolve(engine?.followRehearsal(emit, signal) ?? null),
    notices: (_params, { emit }, signal) => Promise.resolve(notices.follow(emit, signal)),
    connectionTest: ({ connection, secrets }, { emit }, signal) =>
      Promise.resolve(tester.start(connection, secrets, emit, signal)),
  };
}

/** The first word of something that tells is the stream's snapshot, what it tells after that its deltas. */
function firstThenRest<T>(
  run: (tell: (value: T) => void) => Promise<void>,
  { emit, fail }: { emit: (value: T) => void; fail: (error: unknown) => void },
): Promise<T> {
  const first = Promise.withResolvers<T>();
  let isFirst = true;
  const tell = (value: T): void => {
    if (isFirst) first.resolve(value);
    else emit(value);
    isFirst = false;
  };
  run(tell).then(
    // Aborted before it told anything: nobody waits any more.
    () => first.reject(new HeadwayError('cancelled', 'The search was stopped.')),
    (error: unknown) => (isFirst ? first.reject(error) : fail(error)),
  );
  return first.promise;
}

function engineOf({ engine }: Services): EngineHost {
  if (engine === null)
    throw new HeadwayError('not-found', 'The engine of this computer is switched off in the settings.');
  return engine;
}

/** Retryable: a connection whose settings changed comes back at once under the same id. */
const removed = (connectionId: string): HeadwayError =>
  new HeadwayError('not-found', `The connection "${connectionId}" was changed or removed.`, {
    retryable: true,
  });
