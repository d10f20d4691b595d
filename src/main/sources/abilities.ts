// Every source with what it declares that it can: what docs/abilities.md is written from.
import type { Capabilities } from '../../contract/capabilities.ts';
import { queueSystems } from '../../contract/queue-systems.ts';
import { jobsMappingSchema } from '../../contract/settings.ts';
import { engineDatabaseCapabilities } from './engine-database/capabilities.ts';
import { localEngineCapabilities } from './local-engine/capabilities.ts';
import { postalCapabilities } from './postal/capabilities.ts';
import { bullmqCapabilities } from './queues/bullmq/capabilities.ts';
import { goodJobCapabilities } from './queues/good-job/capabilities.ts';
import { graphileWorkerCapabilities } from './queues/graphile-worker/capabilities.ts';
import { jobsTableCapabilities } from './queues/jobs-table/capabilities.ts';
import { obanCapabilities } from './queues/oban/capabilities.ts';
import { pgBossCapabilities } from './queues/pg-boss/capabilities.ts';
import { queenCapabilities } from './queues/queen/capabilities.ts';
import { riverCapabilities } from './queues/river/capabilities.ts';
import { solidQueueCapabilities } from './queues/solid-queue/capabilities.ts';

/** A table of which everything is mapped, with the index that its poll wants. */
const wholeMapping = jobsMappingSchema.parse({
  table: 'jobs',
  id: 'id',
  tenant: 'user_id',
  kind: 'kind',
  state: 'status',
  states: {
    ready: ['queued'],
    running: ['processing'],
    held: ['paused'],
    dead: ['error'],
    done: ['done', 'cancelled'],
  },
  createdAt: 'created_at',
  readyAt: 'run_at',
  startedAt: 'started_at',
  heartbeatAt: 'updated_at',
  lockedBy: 'locked_by',
  attempts: 'attempts',
  maxAttempts: 3,
  priority: 'priority',
  error: 'last_error',
});

interface DeclaredSource {
  name: string;
  capabilities: Capabilities;
}

/** In the order of docs/abilities.md. What is found in a database may be less: its version, its settings, the account's grants. */
export const declaredSources: readonly DeclaredSource[] = [
  { name: 'Postal', capabilities: postalCapabilities },
  { name: queueSystems.queen.name, capabilities: queenCapabilities },
  { name: queueSystems['pg-boss'].name, capabilities: pgBossCapabilities },
  { name: queueSystems['graphile-worker'].name, capabilities: graphileWorkerCapabilities },
  { name: queueSystems.bullmq.name, capabilities: bullmqCapabilities },
  { name: queueSystems.river.name, capabilities: riverCapabilities },
  { name: queueSystems.oban.name, capabilities: obanCapabilities },
  { name: queueSystems['solid-queue'].name, capabilities: solidQueueCapabilities },
  { name: queueSystems['good-job'].name, capabilities: goodJobCapabilities[4] },
  {
    name: queueSystems['jobs-table'].name,
    capabilities: jobsTableCapabilities(wholeMapping, { name: 'by_state', leads: 'state', byReadyAt: true }),
  },
  { name: 'Headway, this computer', capabilities: localEngineCapabilities },
  { name: 'Headway, a store', capabilities: engineDatabaseCapabilities },
];
