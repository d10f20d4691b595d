import { obanSystem } from '../../harness/systems/oban.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('Oban', obanSystem, { refuses: (name) => name.length > 127 });
