// The composition root: builds every service by its constructor, owns their start and stop, knows no face.
import { mkdir } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import type { MethodHandlers, StreamHandlers } from '../contract/api.ts';
import { THIS_COMPUTER, type ConnectionSettings } from '../contract/settings.ts';
import { defaultRules, withOverrides } from '../core/alert-rules.ts';
import type { AlertEvent, AlertRule, Severity } from '../core/alert.ts';
import { AlertService } from './alerts/alert-service.ts';
import { ConnectionEditor } from './connection-editor.ts';
import { openSource } from './connection-source.ts';
import { ConnectionTester } from './connection-tester.ts';
import { connectionTestParts } from './connection-test-parts.ts';
import { Connections } from './connections.ts';
import { EngineHost } from './engine/engine-host.ts';
import { methodHandlers, streamHandlers } from './handlers.ts';
import { SqliteHistory } from './history/sqlite-history.ts';
import type { Logger } from './logger.ts';
import { HostKeys } from './logs/host-keys.ts';
import { LogTail } from './logs/log-tail.ts';
import { systemClock } from './monitor/clock.ts';
import { ConnectionMonitor, type MonitorParts } from './monitor/connection-monitor.ts';
import { FileSecrets } from './settings/file-secrets.ts';
import type { SecretStore } from './settings/secrets.ts';
import { openSettings, type SettingsOrigin } from './settings/settings-origin.ts';
import { rehearsalRules, thisComputer } from './this-computer.ts';

export interface BackendOptions {
  dataDirectory: string;
  /** settings.json in the data directory when left out. */
  settings?: SettingsOrigin;
  /** A 0600 file in the data directory when left out. */
  secrets?: SecretStore;
  logger: Logger;
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

export async function createBackend(options: BackendOptions): Promise<Backend> {
  const { dataDirectory, logger } = options;
  const at = (name: string): string => join(dataDirectory, name);
  await using building = new AsyncDisposableStack();
  await ensureDataDirectory(dataDirectory);
  const secrets = options.secrets ?? new FileSecrets(at('secrets.json'));
  const started = new AbortController();

  const history = building.use(
    await SqliteHistory.open({
      file: at('headway.db'),
      budgetBytes: 0,
      now: Date.now,
      onSetAside: (aside) => logger.warn({ aside }, 'The history file was set aside and a new one begun'),
      onProblem: (error) => logger.error({ error: error.toWire() }, 'History has a problem'),
    }),
  );
}
