// A stored job of the engine, for tests.
import type { EngineJob } from './engine-reader.ts';

const T = 1_700_000_000_000;

export const engineJob = (more: Partial<EngineJob> = {}): EngineJob => ({
  id: 1,
  tenantId: 'a',
  kind: 'mail',
  state: 'ready',
  priority: 0,
  batchId: null,
  attempts: 0,
  maxAttempts: 5,
  createdAtMs: T,
  readyAtMs: T,
  claimedAtMs: null,
  owner: null,
  payloadBytes: 2,
  waitsFor: [],
  failedAttempts: [],
  ...more,
});
