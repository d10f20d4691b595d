// What a database holds, before there is a connection to it: its queues, a mapping for a table, and what a connection would show.
import type { DatabaseDraft, Detection, MappingProposal, QueuePreview } from '../contract/detection.ts';
import { toWireError } from '../contract/errors.ts';
import type { QueueJob } from '../contract/queue-jobs.ts';
import type { ConnectionSettings } from '../contract/settings.ts';
import type { SourceSample, TenantInfo, TenantSample } from '../core/sample.ts';
import { openSource } from './connection-source.ts';
import { overlaid } from './connection-test-parts.ts';
import { resolveSecret } from './settings/resolve-secret.ts';
import type { SecretStore } from './settings/secrets.ts';
import { detectMysql } from './sources/detection/detect-mysql.ts';
import { detectPostgres } from './sources/detection/detect-postgres.ts';
import { proposeMysql } from './sources/detection/propose-mysql.ts';
import { proposePostgres } from './sources/detection/propose-postgres.ts';
import { MysqlSession } from './sources/mysql-session.ts';
import { PostgresSession } from './sources/postgres-session.ts';
import type { Source } from './sources/source.ts';

/** A catalogue of thousands of tables takes its time once; a look at rows must not. */
const CATALOGUE_STATEMENT_MS = 8_000;
const ROWS_STATEMENT_MS = 2_000;
/** For all of a call. */
const TIMEOUT_MS = 20_000;
/** Tenants and jobs of each list that a preview tells. */
const TENANTS = 20;
const JOBS_A_LIST = 10;
/** A clock that is off by more is worth a word. */
const CLOCK_WARNING_MS = 1_000;

interface Openers<T> {
  postgres: (session: PostgresSession, signal: AbortSignal) => Promise<T>;
  mysql: (session: MysqlSession, signal: AbortSignal) => Promise<T>;
}

/** Secrets of a draft win over those that are stored. Each call closes what it opened, and changes nothing. */
export class QueueDrafts {
  readonly #secrets: SecretStore;

  constructor(secrets: SecretStore) {
    this.#secrets = secrets;
  }

  detect(draft: DatabaseDraft, signal: AbortSignal): Promise<Detection> {
    const { database } = draft;
    return this.#on(draft, CATALOGUE_STATEMENT_MS, signal, {
      postgres: (session, limit) => detectPostgres(session, database, limit),
      mysql: (session, limit) => detectMysql(session, database, limit),
    });
  }

  proposeMapping(draft: DatabaseDraft & { table: string }, signal: AbortSignal): Promise<MappingProposal> {
    const { table } = draft;
    return this.#on(draft, ROWS_STATEMENT_MS, signal, {
      postgres: (session, limit) => proposePostgres(session, table, limit),
      mysql: (session, limit) => proposeMysql(session, table, limit),
    });
  }

  async preview(
    draft: { connection: ConnectionSettings; secrets: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<QueuePreview> {
    await using source = openSource(draft.connection, overlaid(this.#secrets, draft.secrets));
    return await previewOf(source, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
  }

  async #on<T>(
    { database: { type, ...settings }, secrets }: DatabaseDraft,
    statementTimeoutMs: number,
    signal: AbortSignal,
    { postgres, mysql }: Openers<T>,
  ): Promise<T> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const from = { environment: process.env, store: overlaid(this.#secrets, secrets) };
    const password =
      settings.password === undefined
        ? null
        : await resolveSecret(settings.password, 'the database password', from);
    const options = { settings, password, statementTimeoutMs };
    if (type === 'postgres') {
      await using session = await PostgresSession.open(options, limit);
      return await postgres(session, limit);
    }
    await using session = await MysqlSession.open(options, limit);
    return await mysql(session, limit);
  }
}

/** One look of each kind. What cannot be listed is a warning; the rest is shown. */
export async function previewOf(source: Source, signal: AbortSignal): Promise<QueuePreview> {
  const { system, tenantWord, warnings } = await source.probe(signal);
  const infos = await source.tenants(signal);
  const sample = await source.snapshot(signal);
  const jobs: QueueJob[] = [];
  const failed = new Set<string>();
  for (const list of ['ready', 'running'] as const) {
    try {
      const query = { list, tenantId: null, after: null, limit: JOBS_A_LIST };
      jobs.push(...(await source.details.jobs(query, signal)).jobs);
    } catch (error) {
      // Whatever the reason: tenants and counts were read, and are worth seeing.
      if (signal.aborted) throw error;
      failed.add(`Jobs cannot be listed: ${toWireError(error).message}`);
    }
  }
  return {
    system,
    tenantWord,
    warnings: [...warnings, ...clockWarning(sample), ...failed],
    tenantCount: new Set([...infos.map(({ id }) => id), ...sample.tenants.map(({ tenantId }) => tenantId)])
      .size,
    tenants: latestFirst(sample, infos),
    jobs,
    costMs: sample.cost.durationMs,
  };
}

function latestFirst(sample: SourceSample, infos: readonly TenantInfo[]): QueuePreview['tenants'] {
  const names = new Map(infos.map(({ id, name }) => [id, name]));
  const lagOf = ({ oldestReady, ready }: TenantSample): number | null => {
    if (oldestReady !== null) return Math.max(0, sample.databaseTimeMs - oldestReady.readyAtMs);
    // Ready jobs of unknown age are no lag of 0.
    return ready.value === 0 ? 0 : null;
  };
  return sample.tenants
    .map((tenant) => ({ ...tenant, lagMs: lagOf(tenant) }))
    .sort((a, b) => (b.lagMs ?? Infinity) - (a.lagMs ?? Infinity) || b.ready.value - a.ready.value)
    .slice(0, TENANTS)
    .map(({ tenantId, lagMs, ready, delayed, running, dead }) => ({
      name: names.get(tenantId) ?? tenantId,
      lagMs,
      ready,
      delayed,
      running,
      dead,
    }));
}

function clockWarning({ clock: { offsetMs, errorMs } }: SourceSample): string[] {
  if (Math.abs(offsetMs) - errorMs <= CLOCK_WARNING_MS) return [];
  return [`The database's clock is ${(offsetMs / 1_000).toFixed(1)} s off this computer's; set both by NTP.`];
}
