// The built-in connection to this computer's own jobs, and what it shares with that to the rehearsal: both are engines
// in the same thread, watched like any other system.
import { dirname } from 'node:path';
import type { EngineSettings } from '../contract/job-kinds.ts';
import { LOCAL_ENGINE } from '../contract/settings.ts';
import type { EngineHost } from './engine/engine-host.ts';
import type { EngineName, LocalSettings } from './engine/engine-messages.ts';
import type { LogListener } from './logs/log-events.ts';
import { ConnectionMonitor } from './monitor/connection-monitor.ts';
import type { Input, MonitorOptions, MonitorParts } from './monitor/monitor-parts.ts';
import type { SettingsOrigin } from './settings/settings-origin.ts';
import type { EngineReader } from './sources/local-engine/engine-reader.ts';
import { LocalEngineSource } from './sources/local-engine/local-engine-source.ts';

export type LocalMonitorParts = Omit<MonitorParts, 'source' | 'inputs'>;

type LocalConnection = Pick<
  MonitorOptions,
  'id' | 'name' | 'environment' | 'windowMs' | 'timingWindowMs' | 'sparkBucketMs' | 'canaryTenants'
> & {
  /** What it is, for people. */
  system: string;
  /** Of its log. */
  label: string;
};

export function localJobs(engine: EngineHost, parts: LocalMonitorParts): ConnectionMonitor {
  return localConnection('local', engine, parts, {
    id: LOCAL_ENGINE,
    name: 'Local jobs',
    environment: 'development',
    system: 'Local engine on SQLite: the jobs of this computer',
    label: 'local jobs',
    windowMs: 60_000,
    timingWindowMs: 15 * 60_000,
    sparkBucketMs: 60_000,
    canaryTenants: [],
  });
}

/** What the local engine works on: the settings, with the worker count that the environment may name. */
export function localSettings(
  settings: EngineSettings,
  environment: Record<string, string | undefined>,
  origin: SettingsOrigin,
  dataDirectory: string,
): LocalSettings {
  const workers = Number(environment['HEADWAY_WORKERS']);
  const isCount = Number.isInteger(workers) && workers >= 1 && workers <= 512;
  return {
    engine: isCount ? { ...settings, workers } : settings,
    baseDirectory: origin.kind === 'file' ? dirname(origin.path) : dataDirectory,
  };
}

/** A monitor of one of the thread's engines. */
export function localConnection(
  name: EngineName,
  engine: EngineHost,
  parts: LocalMonitorParts,
  { system, label, ...options }: LocalConnection,
): ConnectionMonitor {
  const admin = engine.admin(name);
  const reader: EngineReader = {
    sample: (signal) => engine.sample(name, signal),
    list: (request, signal) => admin.list(request, signal),
    job: (id, signal) => admin.job(id, signal),
  };
  return new ConnectionMonitor(
    { ...options, kind: 'local-engine', safety: 'confirm', pollMs: 1_000, budgetMs: 200, timeoutMs: 5_000 },
    {
      ...parts,
      source: new LocalEngineSource(reader, system),
      inputs: (listener) => [engineLog(name, label, engine, listener, parts.clock.now)],
    },
  );
}

/** The engine's own log; it comes from memory, so it is live whenever the engine is. */
function engineLog(
  name: EngineName,
  label: string,
  engine: EngineHost,
  listener: LogListener,
  now: () => number,
): Input {
  let stop: (() => void) | null = null;
  return {
    start() {
      listener.state({ label, state: 'live', sinceMs: now(), error: null });
      stop ??= engine.onLines(name, (lines) => listener.lines(label, lines));
    },
    stop() {
      stop?.();
      return Promise.resolve();
    },
  };
}
