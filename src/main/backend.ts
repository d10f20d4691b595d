// The composition root: builds every service by its constructor, owns their start and stop, knows no face.
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import type { MethodHandlers, StreamHandlers } from '../contract/api.ts';
import { toWireError, type WireError } from '../contract/errors.ts';
import {
  BUILT_IN,
  LOCAL_ENGINE,
  THIS_COMPUTER,
  type ConnectionSettings,
  type Settings,
} from '../contract/settings.ts';
import { changedRules, shippedRules } from '../core/alert-rules.ts';
import type { AlertEvent, AlertRule, Severity } from '../core/alert.ts';
import { AlertService } from './alerts/alert-service.ts';
import { ConnectionEditor } from './connection-editor.ts';
import { openSource } from './connection-source.ts';
import { ConnectionTester } from './connection-tester.ts';
import { connectionTestParts } from './connection-test-parts.ts';
import { Connections } from './connections.ts';
import { EngineAdmins } from './engine-admins.ts';
import type { EngineAdmin } from './engine/admin.ts';
import { EngineHost } from './engine/engine-host.ts';
import type { LocalSettings } from './engine/engine-messages.ts';
import { methodHandlers, streamHandlers, type Services } from './handlers.ts';
import { SqliteHistory } from './history/sqlite-history.ts';
import { localJobs, localSettings } from './local-jobs.ts';
import { DiskLogStore } from './log-store/disk-log-store.ts';
import { HostKeys } from './logs/host-keys.ts';
import { LogPlacesFolder } from './logs/log-places.ts';
import { LogTail } from './logs/log-tail.ts';
import { DEFAULT_SSH_CONFIG } from './logs/ssh-alias.ts';
import type { SshDeps } from './logs/ssh-connection.ts';
import { systemClock } from './monitor/clock.ts';
import { ConnectionMonitor } from './monitor/connection-monitor.ts';
import type { MonitorOptions, MonitorParts } from './monitor/monitor-parts.ts';
import { Notices } from './notices.ts';
import { QueueDrafts } from './queue-drafts.ts';
import { ensureDataDirectory } from './settings/data-directory.ts';
import { FileSecrets } from './settings/file-secrets.ts';
import { resolveSecret } from './settings/resolve-secret.ts';
import { writePrivateFile } from './settings/private-file.ts';
import type { SecretStore } from './settings/secrets.ts';
import { openSettings, type SettingsOrigin } from './settings/settings-origin.ts';
import { StoreAdmins } from './store-admins.ts';
import { rehearsalRules, thisComputer } from './this-computer.ts';

export interface BackendOptions {
  dataDirectory: string;
  /** settings.json in the data directory when left out. */
  settings?: SettingsOrigin;
  /** A 0600 file in the data directory when left out. */
  secrets?: SecretStore;
}

export interface Backend {
  readonly methods: MethodHandlers;
  readonly streams: StreamHandlers;
  start(): Promise<void>;
  /** Ends everything in good order. Idempotent; safe before `start()`. */
  stop(): Promise<void>;
  /** Events a person should be told of now, for a face that shows notifications of its own. */
  onNotify(listener: (event: AlertEvent) => void): void;
  /** The worst firing severity and how many fire, on every change. */
  onWorst(listener: (worst: Severity | null, firing: number) => void): void;
}

/** Polls of a database may take this long before they become rarer, and be given up after that. */
const BUDGET_MS = 500;
const TIMEOUT_MS = 15_000;
const TIMING_WINDOW_MS = 15 * 60_000;
const SPARK_BUCKET_MS = 60_000;

/** Opens what the backend stands on; nothing is polled before `start()`. */
export async function createBackend(options: BackendOptions): Promise<Backend> {
  const { dataDirectory } = options;
  const at = (name: string): string => join(dataDirectory, name);
  await using stack = new AsyncDisposableStack();
  await ensureDataDirectory(dataDirectory);
  const notices = new Notices();
  let started = false;
  const secrets = options.secrets ?? new FileSecrets(at('secrets.json'));
  const origin = options.settings ?? { kind: 'file', path: at('settings.json') };
  // Before the settings are open: they may be refused while the rest is still being built.
  const refused = (text: string): void => notices.raise({ id: 'settings', severity: 'warning', text });
  const settings = stack.use(
    await openSettings(origin, {
      changed: () => {
        notices.clear('settings');
        // What changes before the start is read at the start.
        if (!started) return;
        logStore.limit(logLimits(settings.current.logs));
        void connections.apply(settings.current.connections);
        engine?.configure(localSettingsNow()).catch(engineProblem);
      },
      refused: (error) => refused(error.message),
    }),
  );
  if (settings.problem !== null) refused(settings.problem.message);

  const history = stack.use(
    await SqliteHistory.open({
      file: at('headway.db'),
      budgetBytes: settings.current.history.budgetMegabytes * 1024 ** 2,
      now: systemClock.now,
      onSetAside: ({ path, reason }) =>
        notices.raise({
          id: 'history',
          severity: 'warning',
          text: `The history file was ${reason}. It is kept as ${path}; a new one was begun.`,
        }),
      onProblem: (error) => notices.raise({ id: 'history', severity: 'critical', text: error.message }),
    }),
  );
  const logStore = stack.use(
    new DiskLogStore({
      folder: at('logs'),
      ...logLimits(settings.current.logs),
      now: systemClock.now,
      onProblem: (text) => {
        if (text === null) notices.clear('logs');
        else notices.raise({ id: 'logs', severity: 'warning', text });
      },
    }),
  );
  const kept = await history.loadAlerts();
  const watched = new Set([...BUILT_IN, ...settings.current.connections.map(({ id }) => id)]);
  const alerts = new AlertService(history, {
    alerts: kept.alerts.filter(({ connectionId }) => watched.has(connectionId)),
    events: kept.events,
  });

  const rulesOf = (connectionId: string): AlertRule[] => {
    const {
      alerts: everywhere,
      thisComputer: rehearsal,
      localJobs: local,
      connections: known,
    } = settings.current;
    const own = connectionId === LOCAL_ENGINE ? local : known.find(({ id }) => id === connectionId);
    const layers =
      connectionId === THIS_COMPUTER
        ? [rehearsalRules(engine?.rehearsal().incident ?? 1), rehearsal.alerts]
        : [everywhere, own?.alerts ?? {}];
    return changedRules(shippedRules(), ...layers);
  };
  const monitorParts = (connectionId: string): Omit<MonitorParts, 'source' | 'inputs'> => ({
    history,
    lines: logStore,
    alerts,
    rules: () => rulesOf(connectionId),
    clock: systemClock,
    random: Math.random,
  });

  const hostKeys = new HostKeys({
    readOnlyFiles: [join(homedir(), '.ssh', 'known_hosts')],
    ownFile: at('known_hosts'),
  });
  const sshDeps: SshDeps = {
    hostKeys,
    sshConfigFile: DEFAULT_SSH_CONFIG,
    agentSocket: process.env['SSH_AUTH_SOCK'],
    secret: (ref) => resolveSecret(ref, 'a log host', { environment: process.env, store: secrets }),
  };
  const places = new LogPlacesFolder({
    folder: at('log-places'),
    now: systemClock.now,
    write: writePrivateFile,
    onProblem: (error) => {
      if (error === null) notices.clear('log-places');
      else
        notices.raise({
          id: 'log-places',
          severity: 'warning',
          text: `Where logs were read to is not kept: ${error.message}. After a restart lines may be missing or stand twice.`,
        });
    },
  });
  const monitorOf = (connection: ConnectionSettings): ConnectionMonitor => {
    notices.clear(`connection:${connection.id}`);
    return new ConnectionMonitor(monitorOptions(connection), {
      ...monitorParts(connection.id),
      source: openSource(connection, secrets),
      inputs: (listener) =>
        connection.logHosts.map(
          (host) =>
            new LogTail(host, listener, {
              ...sshDeps,
              places: places.of(connection.id),
              now: systemClock.now,
              random: Math.random,
            }),
        ),
    });
  };
  const localSettingsNow = (): LocalSettings =>
    localSettings(settings.current.engine, process.env, origin, dataDirectory);
  const engine = settings.current.thisComputer.enabled
    ? stack.use(
        new EngineHost({
          dataDirectory,
          local: localSettingsNow(),
          secret: (ref, what) => resolveSecret(ref, what, { environment: process.env, store: secrets }),
        }),
      )
    : null;
  const engineProblem = (error: unknown): void => tellLocalProblem(notices, toWireError(error));
  const logProblem = (error: unknown): void =>
    notices.raise({ id: 'logs', severity: 'warning', text: toWireError(error).message });
  const connections = new Connections(
    monitorOf,
    (id) => {
      alerts.removeConnection(id, systemClock.now());
      logStore.remove(id).catch(logProblem);
    },
    (id, error) =>
      notices.raise({
        id: `connection:${id}`,
        severity: 'critical',
        text: `The connection "${id}" is not watched. ${toWireError(error).message}. Start Headway again.`,
      }),
  );
  // Stopped before the engine, or its end would be taken for an outage.
  stack.defer(() => connections.stop());

  const storeAdmins = stack.use(new StoreAdmins(() => settings.current.connections, secrets));
  const engineOf = (id: string): EngineAdmin | null => {
    if (id === THIS_COMPUTER) return engine?.admin('rehearsal') ?? null;
    if (id === LOCAL_ENGINE) return engine?.admin('local') ?? null;
    return storeAdmins.of(id);
  };
  const engines = new EngineAdmins({ connections, engineOf, clock: systemClock });

  const services: Services = {
    info: {
      version: packageJson.version,
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      dataDirectory,
      settingsFile: origin.kind === 'file' ? origin.path : 'standard input',
      secrets: secrets.description,
      startedAtMs: systemClock.now(),
    },
    connections,
    editor: new ConnectionEditor(settings, secrets),
    tester: new ConnectionTester(connectionTestParts(secrets, sshDeps)),
    drafts: new QueueDrafts(secrets),
    hostKeys,
    history,
    logStore,
    alerts,
    notices,
    engine,
    engines,
    settings,
    rulesOf,
    user: userInfo().username,
    clock: systemClock,
  };
  const ended = new AbortController();
  stack.defer(() => ended.abort());
  const owned = stack.move();
  let stopping: Promise<void> | null = null;
  return {
    methods: methodHandlers(services),
    streams: streamHandlers(services),
    async start() {
      started = true;
      if (engine !== null) {
        engine.followLocalProblem((problem) => tellLocalProblem(notices, problem), ended.signal);
        await engine.start();
        connections.add(thisComputer(engine, monitorParts(THIS_COMPUTER)));
        connections.add(localJobs(engine, monitorParts(LOCAL_ENGINE)));
        onOtherIncident(engine, ended.signal, () => {
          alerts.removeConnection(THIS_COMPUTER, systemClock.now());
          void connections.renew(thisComputer(engine, monitorParts(THIS_COMPUTER)));
        });
      }
      await connections.apply(settings.current.connections);
    },
    stop: () => (stopping ??= owned.disposeAsync()),
    onNotify: (listener) => alerts.onNotify(listener),
    onWorst: (listener) => alerts.onWorst(listener),
  };
}

function logLimits({ budgetMegabytes, keepDays }: Settings['logs']): { budgetBytes: number; keepMs: number } {
  return { budgetBytes: budgetMegabytes * 1024 ** 2, keepMs: keepDays * 86_400_000 };
}

/** Another incident is another system: what was watched and told of the last one ends. */
function onOtherIncident(engine: EngineHost, signal: AbortSignal, renew: () => void): void {
  let { incident } = engine.followRehearsal((rehearsal) => {
    if (rehearsal.incident === incident) return;
    ({ incident } = rehearsal);
    renew();
  }, signal);
}

function tellLocalProblem(notices: Notices, problem: WireError | null): void {
  if (problem === null) notices.clear(LOCAL_ENGINE);
  else notices.raise({ id: LOCAL_ENGINE, severity: 'warning', text: `Local jobs: ${problem.message}` });
}

function monitorOptions(connection: ConnectionSettings): MonitorOptions {
  return {
    ...connection,
    pollMs: connection.pollSeconds * 1000,
    budgetMs: BUDGET_MS,
    timeoutMs: TIMEOUT_MS,
    windowMs: connection.windowSeconds * 1000,
    timingWindowMs: TIMING_WINDOW_MS,
    sparkBucketMs: SPARK_BUCKET_MS,
  };
}
