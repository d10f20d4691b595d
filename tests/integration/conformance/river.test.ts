import { riverSystem } from '../../harness/systems/river.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('River', riverSystem, { refuses: (name) => name.length > 127 });
