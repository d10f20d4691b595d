// The gates of all kinds an engine works on, and the breakers they share: kinds that name the same dependency stop together.
import type { BreakerReport } from '../../../contract/engine-report.ts';
import { CircuitBreaker } from '../../../core/circuit-breaker.ts';
import type { EngineKind } from '../engine-parts.ts';
import type { Eligible } from '../stores/store.ts';
import { KindGate } from './kind-gate.ts';

type BreakerPolicy = NonNullable<EngineKind['policy']['breaker']>;
/** By the dependency that they guard. */
type Breakers = Map<string, { policy: BreakerPolicy; breaker: CircuitBreaker }>;

export class KindGates {
  #gates = new Map<string, KindGate>();
  #breakers: Breakers = new Map();

  constructor(kinds: readonly EngineKind[], nowMs: number) {
    this.configure(kinds, nowMs);
  }

  /** Kinds that are gone start nothing more; what runs of them finishes. */
  configure(kinds: readonly EngineKind[], nowMs: number): void {
    const breakers: Breakers = new Map();
    for (const { policy } of kinds) {
      // The first kind that names a dependency says how its breaker works.
      if (!policy.breaker || breakers.has(policy.breaker.dependency)) continue;
      breakers.set(policy.breaker.dependency, this.#breakerOf(policy.breaker, nowMs));
    }
    this.#breakers = breakers;
    const retired = new Set(this.#gates.keys());
    for (const kind of kinds) {
      const name = kind.policy.kind;
      const breaker = breakers.get(kind.policy.breaker?.dependency ?? '')?.breaker ?? null;
      const gate = this.#gates.get(name);
      if (gate) gate.configure(kind, breaker, nowMs);
      else this.#gates.set(name, new KindGate(kind, breaker, nowMs));
      retired.delete(name);
    }
    for (const name of retired) this.#gates.get(name)?.retire();
    this.prune();
  }

  /** How many kinds there are, also those that are gone while something of them runs. */
  get size(): number {
    return this.#gates.size;
  }

  get(kind: string): KindGate | undefined {
    return this.#gates.get(kind);
  }

  /** Also those that are gone, while something of them runs. */
  all(): Iterable<KindGate> {
    return this.#gates.values();
  }

  /** What may be claimed now, beyond what is claimed and has not started. */
  eligible(nowMs: number): Eligible {
    const eligible: { kind: string; limit: number | null }[] = [];
    for (const gate of this.#gates.values()) {
      const room = gate.room(nowMs);
      if (room === Infinity) eligible.push({ kind: gate.kind, limit: null });
      else if (room > gate.buffered) eligible.push({ kind: gate.kind, limit: room - gate.buffered });
    }
    return eligible;
  }

  /** When the first of them may start what it may not start now; Infinity when time changes nothing. */
  openAtMs(nowMs: number): number {
    let atMs = Infinity;
    for (const gate of this.#gates.values()) atMs = Math.min(atMs, gate.opensAtMs(nowMs) ?? Infinity);
    return atMs;
  }

  /** Forgets kinds that are gone and of which nothing runs any more. */
  prune(): void {
    for (const [name, gate] of this.#gates) {
      if (gate.isRetired && gate.running.size === 0) this.#gates.delete(name);
    }
  }

  breakerReports(nowMs: number): BreakerReport[] {
    return [...this.#breakers].map(([dependency, { breaker }]) => ({
      dependency,
      state: breaker.state(nowMs),
      sinceMs: breaker.sinceMs,
      failureRatio: breaker.failureRatio(nowMs),
      nextTryAtMs: breaker.nextTryAtMs,
      history: [...breaker.history],
    }));
  }

  /** The one it has while its settings are the same. */
  #breakerOf(policy: BreakerPolicy, nowMs: number): { policy: BreakerPolicy; breaker: CircuitBreaker } {
    const known = this.#breakers.get(policy.dependency);
    if (known && JSON.stringify(known.policy) === JSON.stringify(policy)) return known;
    const { failureRatio, minimumCalls, windowSeconds, openSeconds } = policy;
    const settings = {
      failureRatio,
      minimumCalls,
      windowMs: windowSeconds * 1_000,
      openMs: openSeconds * 1_000,
    };
    return { policy, breaker: new CircuitBreaker(settings, nowMs) };
  }
}
