import { postalSystem } from '../../harness/systems/postal.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('Postal', postalSystem);
