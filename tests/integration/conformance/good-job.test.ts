import { goodJobSystem } from '../../harness/systems/good-job.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('GoodJob', goodJobSystem, { tenantsAtMost: 5_000 });
