import { graphileWorkerSystem } from '../../harness/systems/graphile-worker.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('Graphile Worker', graphileWorkerSystem, { refuses: (name) => name.length > 128 });
