import { bullmqSystem } from '../../harness/systems/bullmq.ts';
import { sourceSuite } from './source-suite.ts';

// Beyond 2,000 queues the first by name are watched.
sourceSuite('BullMQ', bullmqSystem, { tenantsAtMost: 2_000 });
