import { bullmqSystem } from '../../harness/systems/bullmq.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('BullMQ', bullmqSystem);
