// `headway snapshot`: one poll of every connection, printed; a connection that fails says why and hides no other.
import { join } from 'node:path';
import { toWireError, type WireError } from '../../contract/errors.ts';
import type { ConnectionSettings } from '../../contract/settings.ts';
import type { Count } from '../../core/count.ts';
import { formatCount, formatDuration } from '../../core/duration.ts';
import type { SourceSample, TenantInfo, TenantSample } from '../../core/sample.ts';
import { openSource } from '../connection-source.ts';
import { FileSecrets } from '../settings/file-secrets.ts';
import type { SecretStore } from '../settings/secrets.ts';
import { dataDirectoryOf, readSettings, type ConfigurationOptions } from './configuration.ts';

const TIMEOUT_MS = 30_000;

/**
 * One connection's answer. Times are ISO 8601 in UTC, ages in ms. `lagMs` is 0 when certainly nothing is ready, null
 * when it could not be measured.
 */
interface ConnectionSnapshot {
  id: string;
  name: string;
  system: string | null;
  /** What the system calls its tenants, singular. */
  tenantWord: string | null;
  takenAt: string | null;
  clockOffsetMs: number | null;
  costMs: number | null;
  error: WireError | null;
  warnings: string[];
  tenants: TenantSnapshot[];
}

interface TenantSnapshot extends Pick<TenantSample, 'ready' | 'delayed' | 'running' | 'stale'> {
  id: string;
  name: string;
  lagMs: number | null;
  lagBound: 'exact' | 'at-least';
  ageMs: number | null;
  arrivalsTotal: number | null;
  attemptsTotal: number | null;
}

export interface SnapshotOptions extends ConfigurationOptions {
  json: boolean;
}

export async function snapshot(options: SnapshotOptions): Promise<void> {
  const settings = await readSettings(options);
  const secrets = new FileSecrets(join(dataDirectoryOf(options), 'secrets.json'));
  const answers = await Promise.all(
    settings.connections.map((connection) => snapshotOf(connection, secrets)),
  );
  if (options.json) console.log(JSON.stringify({ connections: answers }, null, 2));
  else if (answers.length === 0) console.log('No connection is configured.');
  else for (const answer of answers) print(answer);
  if (answers.some((answer) => answer.error !== null)) process.exitCode = 1;
}

async function snapshotOf(connection: ConnectionSettings, secrets: SecretStore): Promise<ConnectionSnapshot> {
  const answer: ConnectionSnapshot = {
    id: connection.id,
    name: connection.name,
    system: null,
    tenantWord: null,
    takenAt: null,
    clockOffsetMs: null,
    costMs: null,
    error: null,
    warnings: [],
    tenants: [],
  };
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    await using source = openSource(connection, secrets);
    const probe = await source.probe(signal);
    const tenants = await source.tenants(signal);
    const sample = await source.snapshot(signal);
    return {
      ...answer,
      system: probe.system,
      tenantWord: probe.tenantWord,
      warnings: probe.warnings,
      takenAt: new Date(sample.databaseTimeMs - sample.clock.offsetMs).toISOString(),
      clockOffsetMs: Math.round(sample.clock.offsetMs),
      costMs: sample.cost.durationMs,
      tenants: tenantSnapshots(tenants, sample),
    };
  } catch (error) {
    return { ...answer, error: toWireError(error) };
  }
}

function tenantSnapshots(tenants: TenantInfo[], sample: SourceSample): TenantSnapshot[] {
  const names = new Map(tenants.map((tenant) => [tenant.id, tenant.name]));
  return sample.tenants
    .map((tenant): TenantSnapshot => {
      const { oldestReady, ready, delayed, running, stale, arrivalsTotal, attemptsTotal } = tenant;
      const since = (atMs: number) => Math.max(0, Math.round(sample.databaseTimeMs - atMs));
      return {
        id: tenant.tenantId,
        name: names.get(tenant.tenantId) ?? tenant.tenantId,
        lagMs: oldestReady !== null ? since(oldestReady.readyAtMs) : isNone(ready) ? 0 : null,
        lagBound: oldestReady?.bound ?? 'exact',
        ageMs: oldestReady === null ? null : since(oldestReady.createdAtMs),
        ready,
        delayed,
        running,
        stale,
        arrivalsTotal,
        attemptsTotal,
      };
    })
    .sort((a, b) => (b.lagMs ?? -1) - (a.lagMs ?? -1));
}

const isNone = ({ value, kind }: Count): boolean => value === 0 && kind === 'exact';

function print(answer: ConnectionSnapshot): void {
  if (answer.error !== null) {
    console.log(`${answer.name}: ${answer.error.message}`);
    return;
  }
  console.log(`${answer.name}: ${answer.system ?? ''}, as of ${answer.takenAt ?? ''}`);
  for (const warning of answer.warnings) console.log(`  note: ${warning}`);
  const header = [(answer.tenantWord ?? 'tenant').toUpperCase(), 'LAG', 'READY', 'RUN', 'DELAYED', 'STALE'];
  const rows = answer.tenants.map((tenant) => [
    `${tenant.name} ${tenant.id}`,
    tenant.lagMs === null
      ? 'not measured'
      : `${tenant.lagBound === 'at-least' ? '>= ' : ''}${formatDuration(tenant.lagMs)}`,
    ...[tenant.ready, tenant.running, tenant.delayed, tenant.stale].map(formatCount),
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [header, ...rows]) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(`  ${cells.join('  ')}`.trimEnd());
  }
}
