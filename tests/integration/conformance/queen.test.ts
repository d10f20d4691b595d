import { queenSystem } from '../../harness/systems/queen.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('Queen', queenSystem);
