// A made-up system for looking at the window and for measuring it: the same seed plays the same night.
// This file: its tenants, each with a lag that grows by the clock while nobody serves it.
import { atLeast, estimate, exact } from '../../../src/core/count.ts';
import type { ConnectionSummary, OverviewHead, TenantRow } from '../../../src/contract/live.ts';

export interface FleetOptions {
  connection: ConnectionSummary;
  tenants: number;
  tickMs: number;
  random: () => number;
}

const known = [
  'mailflow',
  'shop',
  'edify',
  'billing',
  'newsletter',
  'crm',
  'support',
  'parcel',
  'ledger',
  'academy',
];
const organisations = ['acme', 'northwind', 'globex', 'initech'];
const SPARKS = 60;

/** How a tenant fares: served at once, late now and then, or starved by the neighbour. */
type Temper = 'idle' | 'smooth' | 'wavy' | 'starved' | 'slow' | 'paused' | 'blind';

interface Tenant {
  temper: Temper;
  row: TenantRow;
  perS: number;
}

export class Fleet {
  readonly connection: ConnectionSummary;
  readonly #random: () => number;
  readonly #tickMs: number;
  readonly #tenants: Tenant[];
  readonly #startedAtMs: number;
  #ticks = 0;

  constructor(options: FleetOptions, nowMs: number) {
    this.connection = options.connection;
    this.#random = options.random;
    this.#tickMs = options.tickMs;
    this.#startedAtMs = nowMs;
    this.#tenants = Array.from({ length: options.tenants }, (_, index) => this.#tenant(index, nowMs));
  }

  get rows(): TenantRow[] {
    return this.#tenants.map(({ row }) => row);
  }

  /** One poll later; every row is a new object with new numbers. */
  tick(nowMs: number): TenantRow[] {
    this.#ticks += 1;
    for (const tenant of this.#tenants) tenant.row = this.#next(tenant, nowMs);
    return this.rows;
  }

  /** Puts `count` jobs of one tenant in front of the others. */
  burst(tenantId: string, count: number): void {
    for (const tenant of this.#tenants)
      if (tenant.row.id === tenantId)
        tenant.row = { ...tenant.row, ready: exact(tenant.row.ready.value + count) };
  }

  /** Fair order and more workers starve nobody. */
  setTempers(change: (temper: Temper) => Temper): void {
    for (const tenant of this.#tenants) tenant.temper = change(tenant.temper);
  }

  head(nowMs: number): OverviewHead {
    const rows = this.rows;
    const late = rows.filter((row) => row.severity !== null);
    const worst = rows.reduce<TenantRow | null>(
      (found, row) => ((row.lagMs ?? -1) > (found?.lagMs ?? -1) ? row : found),
      null,
    );
    const sum = (value: (row: TenantRow) => number): number => rows.reduce((all, row) => all + value(row), 0);
    const live = this.connection.state.kind === 'live';
    return {
      connection: this.connection,
      asOfMs: live ? nowMs : null,
      clock: live ? { offsetMs: 12, errorMs: 3 } : null,
      pollEveryMs: this.#tickMs,
      pollNote: null,
      cost: live ? { msPerMin: rows.length * 2.5, rowsPerMin: rows.length * 60 } : null,
      workers: { busy: 2, total: 2, lastSeenMs: nowMs - 400 },
      windowMs: 60_000,
      warmingUpMs: Math.max(0, this.#startedAtMs + 3_000 - nowMs),
      sparkBucketMs: 60_000,
      claimOrder: 'lowest id first',
      totals: {
        late: late.length,
        stalled: rows.filter((row) => row.status === 'stalled').length,
        ok: rows.filter((row) => row.status === 'ok' || row.status === 'idle').length,
        noData: rows.filter((row) => row.status === 'no-data').length,
        worst: worst === null ? null : { tenantId: worst.id, name: worst.name, lagMs: worst.lagMs ?? 0 },
        inPerMin: !live ? null : sum((row) => (row.arrivalsPerS ?? 0) * 60),
        outPerMin: !live ? null : sum((row) => (row.attemptsPerS ?? 0) * 60),
        timeToEmpty:
          late.length > 3 ? { kind: 'growing' } : { kind: 'range', minMs: 190_000, maxMs: 420_000 },
        ready: exact(sum((row) => row.ready.value)),
        running: exact(sum((row) => row.running.value)),
      },
    };
  }

  #tenant(index: number, nowMs: number): Tenant {
    const chance = this.#random();
    const temper: Temper =
      index === 2
        ? 'starved'
        : index === 5
          ? 'slow'
          : index === 7
            ? 'paused'
            : index === 9
              ? 'blind'
              : chance < 0.3
                ? 'idle'
                : chance < 0.9
                  ? 'smooth'
                  : chance < 0.97
                    ? 'wavy'
                    : 'starved';
    const name = known[(index + 8) % known.length] ?? 'tenant';
    const perS = temper === 'idle' ? 0 : this.#random() ** 2 * 4;
    const lagMs = temper === 'starved' ? 120_000 + this.#random() * 180_000 : temper === 'slow' ? 190_000 : 0;
    const row: TenantRow = {
      id: String(index + 1),
      name: index < known.length ? name : `${name}-${index + 1}`,
      detail: organisations[index % organisations.length] ?? '',
      status: 'ok',
      statusSinceMs: nowMs - Math.floor(this.#random() * 3_600_000),
      severity: null,
      cause: null,
      lagMs,
      lagBound: 'exact',
      ageMs: null,
      trend: null,
      ready: exact(0),
      delayed: exact(Math.floor(this.#random() ** 6 * 40)),
      running: exact(0),
      stale: exact(index === 2 ? 1 : 0),
      dead: null,
      blocked: null,
      arrivalsPerS: perS,
      attemptsPerS: perS,
      ratesApproximate: index % 13 === 0,
      runP95Ms: temper === 'idle' ? null : 300 + this.#random() * 2_000,
      errorRate: temper === 'idle' ? null : this.#random() ** 4 * 0.1,
      timeToEmpty: { kind: 'empty' },
      behind: null,
      paused:
        temper === 'paused' ? { by: 'anna', sinceMs: nowMs - 600_000, reason: 'supplier is down' } : null,
      spark: this.#spark(temper, lagMs),
    };
    return { temper, row, perS };
  }

  #spark(temper: Temper, lagMs: number): (number | null)[] {
    return Array.from({ length: SPARKS }, (_, index) => {
      if (temper === 'blind' || (index > 20 && index < 24)) return null;
      const noise = this.#random() * 1_500;
      if (temper === 'idle') return 0;
      if (temper === 'smooth') return noise;
      if (temper === 'wavy') return Math.max(0, Math.sin(index / 5) * 40_000) + noise;
      return (lagMs * index ** 2) / SPARKS ** 2 + noise;
    });
  }

  #next({ temper, row, perS }: Tenant, nowMs: number): TenantRow {
    const lagMs = this.#lag(temper, row.lagMs ?? 0);
    const rate = (): number => Math.max(0, perS * (0.7 + this.#random() * 0.6));
    const common = {
      ...row,
      arrivalsPerS: rate(),
      attemptsPerS: temper === 'starved' ? 0.003 : rate(),
      running: exact(temper === 'idle' || this.#random() < 0.6 ? 0 : 1),
      spark: this.#ticks % 60 === 0 ? [...row.spark.slice(1), lagMs] : row.spark,
    };
    if (temper === 'blind') {
      return {
        ...common,
        status: 'no-data',
        lagMs: null,
        runP95Ms: null,
        arrivalsPerS: null,
        attemptsPerS: null,
      };
    }
    if (temper === 'paused')
      return { ...common, status: 'paused', lagMs, running: exact(0), ready: exact(12) };
    const status =
      lagMs > 180_000
        ? row.id === '37'
          ? 'stalled'
          : 'lagging'
        : lagMs > 150_000
          ? 'recovering'
          : temper === 'idle'
            ? 'idle'
            : 'ok';
    const late = lagMs > 150_000;
    const ahead = 9_812 + Math.floor(this.#random() * 40);
    return {
      ...common,
      status,
      statusSinceMs: status === row.status ? row.statusSinceMs : nowMs,
      severity: lagMs > 300_000 ? 'critical' : lagMs > 180_000 ? 'warning' : null,
      cause: !late ? null : this.#cause(temper, ahead),
      lagMs,
      ageMs: lagMs === 0 ? null : lagMs + 4_000,
      trend:
        temper === 'starved' || temper === 'slow'
          ? 'rising'
          : lagMs < (row.lagMs ?? 0)
            ? 'falling'
            : 'steady',
      ready: this.#ready(temper, lagMs, perS),
      runP95Ms:
        row.runP95Ms === null
          ? null
          : temper === 'slow'
            ? 8_400
            : row.runP95Ms * (0.97 + this.#random() * 0.06),
      timeToEmpty: late ? { kind: 'growing' } : { kind: 'empty' },
      behind:
        temper === 'starved'
          ? { ahead: atLeast(ahead), tenants: [{ id: '1', name: 'newsletter', share: 0.97 }] }
          : null,
    };
  }

  #cause(temper: Temper, ahead: number): TenantRow['cause'] {
    if (temper === 'slow') {
      const evidence = ['deliver p95 is 8.4 s, 4.2 times its usual 2.0 s', 'all other stages as usual'];
      return { kind: 'slow-stage', text: 'slow stage: deliver', evidence, also: [] };
    }
    return {
      kind: 'behind-neighbour',
      text: `behind newsletter (97 % of ${ahead.toLocaleString('en')})`,
      evidence: ['newsletter had 97 % of the starts in the last minute; its fair share is 9 %'],
      also: ['workers saturated: 2 of 2 busy for 58 s of the last minute'],
    };
  }

  #ready(temper: Temper, lagMs: number, perS: number): TenantRow['ready'] {
    if (temper === 'idle' || lagMs === 0) return exact(0);
    const value = Math.max(1, Math.round((lagMs / 1000) * Math.min(perS, 1)));
    return value > 100 ? estimate(value) : exact(value);
  }

  #lag(temper: Temper, before: number): number {
    switch (temper) {
      case 'idle':
      case 'blind':
        return 0;
      case 'smooth':
        return this.#random() < 0.5 ? 0 : this.#random() * 1_500;
      case 'wavy':
        return this.#random() < 0.03 ? 0 : Math.min(90_000, before + this.#tickMs * this.#random() * 2);
      case 'starved':
      case 'paused':
      case 'slow':
        // Served at last now and then: the alert recovers, and the row moves.
        return this.#random() < 0.01 ? 5_000 : before + this.#tickMs;
    }
  }
}
