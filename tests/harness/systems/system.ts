// A queue system on a server of the harness, in words that are the same for all: the conformance suite and the bench of
// sources drive every system through them.
import type { DatabaseType } from '../../../src/contract/queue-systems.ts';
import type { Source } from '../../../src/main/sources/source.ts';

/** A job as plain data; ages in ms against now, to be written as the system itself would. */
export interface PlainJob {
  tenant: string;
  state: 'ready' | 'delayed' | 'running';
  /** Since its creation. A ready job was free to start from then on. */
  ageMs: number;
  /** When a delayed one may start. */
  dueInMs?: number;
  /** When a running one began. */
  startedAgoMs?: number;
}

export interface SystemOptions {
  /** The server stops any statement of a poll that runs longer. */
  statementTimeoutMs?: number;
  /** Local clock, epoch ms. */
  now?: () => number;
}

export interface WatchedSystem extends AsyncDisposable {
  readonly name: string;
  readonly type: DatabaseType | 'sqlite';
  /** Over an account that may read and nothing else. */
  source(options?: SystemOptions): Source;
  /** The id that the source gives to a tenant of this name. */
  tenantId(tenant: string): string;
  /** No job and no tenant is left. */
  clear(): Promise<void>;
  put(jobs: readonly PlainJob[]): Promise<void>;
  /** `rows` ready jobs, the oldest an hour old, of tenants t0, t1, … in turn. Statistics are up to date afterwards. */
  fill(rows: number, tenants: number): Promise<void>;
  /** Claims the oldest ready job as a worker would, and finishes it at once. Runs while polls do. */
  workOne(): Promise<void>;
  /** Ends every session of the source's account. */
  endSessions(): Promise<void>;
  /** What the source's account has read so far: buffers, or the storage engine's handler reads. */
  reads(): Promise<number>;
  /** What an engineer or the system's own dashboard would ask; runs it and answers what it read. */
  readonly peerQuery: string;
  peer(): Promise<PeerCost>;
}

/** What one run of the peer's query read: in the unit of `reads`, and rows and index entries. */
export interface PeerCost {
  reads: number;
  rows: number;
}

/** What a system adds to its server. */
export interface SystemParts {
  name: string;
  source: (options: SystemOptions) => Source;
  tenantId?: (tenant: string) => string;
  clear: () => Promise<void>;
  put: (job: PlainJob) => Promise<void>;
  fill: (rows: number, tenants: number) => Promise<void>;
  /** A statement, or what does it. */
  workOne: string | (() => Promise<void>);
  peerQuery: string;
}
