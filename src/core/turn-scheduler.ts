// Whose jobs are claimed next: tenants in a circle, with weights, caps and, where asked for, shares of run time.
//
// `fair` gives each tenant one job a turn. A tenant of slow jobs then still takes most of the workers' time, so
// `fair-time` counts in milliseconds: surplus round-robin (Adiseshu, Parulkar, Varghese 1996), a form of deficit
// round-robin (Shreedhar and Varghese 1995) that needs not know a job's length before it has run. A turn adds a quantum
// to the tenant's credit; while its credit is positive it may start jobs; what they took is subtracted when they end,
// and until then what its jobs took on average. A tenant in debt is passed over until its turns have paid for it.
//
// The trap is a cursor that is rebuilt on every tick: it starts at the lowest tenant each time, and the others starve.
// Hence the cursor goes in and comes out as plain data: the store keeps it with the claims, over ticks, threads and restarts.

/** Weight 1 is one turn's worth; `cap`: jobs of the tenant at once. */
export interface TenantShare {
  weight: number;
  cap?: number | undefined;
}

/** A tenant with work; in circle order from the first above the cursor, without repeats. */
export interface TenantWithWork {
  tenantId: string;
}

/** So many jobs of one tenant. */
export interface Take {
  tenantId: string;
  count: number;
}

export type TenantShares = ReadonlyMap<string, TenantShare>;

export interface TurnSchedulerOptions {
  order: 'fair' | 'fair-time';
  /** Tenants that are not named have weight 1 and no cap. */
  shares: TenantShares;
  /** Where the circle stopped; null at the very first turn. */
  cursor: string | null;
}

const EVEN: TenantShare = { weight: 1 };

/** What is known of one tenant; in plain turns only of those that are named in the shares. */
interface Account {
  running: number;
  /** In jobs (`fair`) or ms (`fair-time`). Never over one turn's worth: nobody saves up while idle. */
  credit: number;
  /** Charged in advance for what runs. */
  charged: number;
  /** Mean run of its jobs, ms; null before the first has ended. */
  meanMs: number | null;
}

/** A new run weighs this much in a mean: the last ten or so decide. */
const RECENT = 0.2;
/** A job counts as at least this long, so that jobs of no length take turns too. */
const SHORTEST_MS = 0.05;
/** Below this a credit is rounding, not credit. */
const EPSILON = 1e-9;

export class TurnScheduler {
  #order: 'fair' | 'fair-time';
  #shares: TenantShares;
  #cursor: string | null;
  /** The tenant whose turn was cut short by a lack of slots: it goes on without a new quantum. */
  #continued: string | null = null;
  readonly #accounts = new Map<string, Account>();
  /** What the last plan asked for and no claim has answered yet. */
  #planned = new Map<string, number>();
  #meanMs: number | null = null;

  constructor(options: TurnSchedulerOptions) {
    this.#order = options.order;
    this.#shares = options.shares;
    this.#cursor = options.cursor;
  }

  /** The tenant that had the last turn; null before the first. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** Holds from the next plan on; credits in the other order's unit are forgotten. */
  configure(order: 'fair' | 'fair-time', shares: TenantShares): void {
    this.#shares = shares;
    if (order === this.#order) return;
    this.#order = order;
    for (const account of this.#accounts.values()) account.credit = account.charged = 0;
  }

  /** Which tenants to look for: as many as there are free slots, and those that may have to be passed over. */
  ask(slots: number): { after: string | null; limit: number } {
    let passedOver = 0;
    for (const { weight } of this.#shares.values()) if (weight < 1) passedOver += 1;
    for (const [tenantId, account] of this.#accounts) {
      if (account.credit < 0 || room(this.#share(tenantId), account) <= 0) passedOver += 1;
    }
    return { after: this.#cursor, limit: slots + passedOver };
  }

  /**
   * The turns of `slots` jobs among `ready`, and moves the cursor past them. Uses every slot while a tenant below its
   * cap is there, whatever it owes: a worker is never idle for fairness' sake.
   */
  plan(ready: readonly TenantWithWork[], slots: number): Take[] {
    this.#forgetPlan();
    const takes = ready.map(({ tenantId }) => ({ tenantId, count: 0 }));
    if (takes[0]?.tenantId !== this.#continued) this.#continued = null;
    let left = slots;
    while (left > 0) {
      const before = left;
      let owed = Infinity;
      for (const take of takes) {
        if (left === 0) break;
        const turn = this.#turn(take.tenantId, left);
        take.count += turn.count;
        left -= turn.count;
        owed = Math.min(owed, turn.owed);
        if (turn.over) this.#cursor = take.tenantId;
        this.#continued = turn.over ? null : take.tenantId;
      }
      // All that are left are at their cap, or all are in debt: then as many empty turns pass at once as the first needs.
      if (left === before && !this.#passTurns(takes, owed)) break;
    }
    if (ready.length < slots) this.#forgive(new Set(ready.map(({ tenantId }) => tenantId)));
    return takes.filter((take) => take.count > 0);
  }

  /** So many jobs of the last plan were really claimed; called at most once a tenant and plan. */
  claimed(tenantId: string, count: number): void {
    const planned = this.#planned.get(tenantId);
    if (planned === undefined) return;
    this.#planned.delete(tenantId);
    this.#uncharge(tenantId, planned - count);
  }

  /** A claimed job ended after `runMs`; null: it was given back without having run. */
  ended(tenantId: string, runMs: number | null): void {
    if (runMs === null) {
      this.#uncharge(tenantId, 1);
      return;
    }
    const lengthMs = Math.max(SHORTEST_MS, runMs);
    const account = this.#accounts.get(tenantId);
    this.#meanMs = towards(this.#meanMs, lengthMs);
    if (account === undefined || account.running === 0) return;
    const inAdvance = account.charged / account.running;
    if (this.#order === 'fair-time') {
      account.meanMs = towards(account.meanMs, lengthMs);
      account.credit += inAdvance - lengthMs;
    }
    account.charged -= inAdvance;
    account.running -= 1;
  }

  /**
   * What the tenant may start now, at most `slots`. `over`: its turn is used up. `owed`: empty turns it needs before it
   * may start anything.
   */
  #turn(tenantId: string, slots: number): { count: number; over: boolean; owed: number } {
    const share = this.#share(tenantId);
    // The usual tenant in plain turns needs no account: one turn, one job.
    if (this.#order === 'fair' && share === EVEN) return { count: 1, over: true, owed: Infinity };
    const account = this.#accountOf(tenantId);
    const free = room(share, account);
    if (free <= 0) return { count: 0, over: true, owed: Infinity };
    const cost = this.#cost(account);
    const quantum = this.#quantum(share);
    if (this.#continued !== tenantId)
      account.credit = Math.min(account.credit + quantum, Math.max(quantum, cost));
    const affordable = this.#affordable(account.credit, cost);
    if (affordable === 0) {
      const missing =
        this.#order === 'fair' ? cost - account.credit : Math.max(cost * EPSILON, -account.credit);
      return { count: 0, over: true, owed: Math.max(1, Math.ceil(missing / quantum - EPSILON)) };
    }
    const count = Math.min(affordable, free, slots);
    account.running += count;
    account.credit -= count * cost;
    account.charged += count * cost;
    this.#planned.set(tenantId, (this.#planned.get(tenantId) ?? 0) + count);
    return { count, over: count === affordable || count === free, owed: Infinity };
  }

  /** Jobs that a credit pays for: in turns whole ones, in time one more while anything is left, to be paid off later. */
  #affordable(credit: number, cost: number): number {
    const jobs = credit / cost;
    return Math.max(0, this.#order === 'fair' ? Math.floor(jobs + EPSILON) : Math.ceil(jobs - EPSILON));
  }

  /** False when waiting for turns helps nobody. */
  #passTurns(takes: readonly Take[], turns: number): boolean {
    if (!Number.isFinite(turns)) return false;
    for (const { tenantId } of takes) {
      const account = this.#accounts.get(tenantId);
      // The next look adds one turn by itself.
      if (account) account.credit += Math.max(0, turns - 1) * this.#quantum(this.#share(tenantId));
    }
    return true;
  }

  /** Tenants without work pay their debts as if their turns had passed too: nobody is blamed for ever. */
  #forgive(ready: ReadonlySet<string>): void {
    for (const [tenantId, account] of this.#accounts) {
      if (ready.has(tenantId)) continue;
      account.credit = Math.min(0, account.credit + this.#quantum(this.#share(tenantId)));
      if (account.running === 0 && account.credit === 0) this.#accounts.delete(tenantId);
    }
  }

  #forgetPlan(): void {
    for (const [tenantId, count] of this.#planned) this.#uncharge(tenantId, count);
    this.#planned.clear();
  }

  #uncharge(tenantId: string, count: number): void {
    const account = this.#accounts.get(tenantId);
    if (account === undefined || account.running === 0 || count <= 0) return;
    const gone = Math.min(count, account.running);
    const back = (account.charged / account.running) * gone;
    account.charged -= back;
    account.credit += back;
    account.running -= gone;
  }

  #share(tenantId: string): TenantShare {
    return this.#shares.get(tenantId) ?? EVEN;
  }

  #accountOf(tenantId: string): Account {
    let account = this.#accounts.get(tenantId);
    if (account === undefined) {
      account = { running: 0, credit: 0, charged: 0, meanMs: null };
      this.#accounts.set(tenantId, account);
    }
    return account;
  }

  /** What a turn adds. In time: one job of the usual length. */
  #quantum(share: TenantShare): number {
    return share.weight * (this.#order === 'fair' ? 1 : (this.#meanMs ?? 1));
  }

  #cost(account: Account): number {
    return this.#order === 'fair' ? 1 : (account.meanMs ?? this.#meanMs ?? 1);
  }
}

function room(share: TenantShare, account: Account): number {
  return (share.cap ?? Infinity) - account.running;
}

function towards(mean: number | null, value: number): number {
  return mean === null ? value : mean + (value - mean) * RECENT;
}
