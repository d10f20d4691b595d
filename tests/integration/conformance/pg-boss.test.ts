import { pgBossSystem } from '../../harness/systems/pg-boss.ts';
import { sourceSuite } from './source-suite.ts';

// pg-boss's names are letters, digits and a few signs.
sourceSuite('pg-boss', pgBossSystem);
