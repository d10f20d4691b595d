import { solidQueueOnMariaDb, solidQueueOnPostgres } from '../../harness/systems/solid-queue.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('Solid Queue on PostgreSQL', solidQueueOnPostgres, { tenantsAtMost: 5_000 });
sourceSuite('Solid Queue on MariaDB', solidQueueOnMariaDb, { tenantsAtMost: 5_000 });
