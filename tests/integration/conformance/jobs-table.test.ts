import { jobsTableOnMariaDb, jobsTableOnPostgres } from '../../harness/systems/jobs-table.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('A jobs table on PostgreSQL', jobsTableOnPostgres);
sourceSuite('A jobs table on MariaDB', jobsTableOnMariaDb);
