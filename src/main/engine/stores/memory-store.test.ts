import { MemoryStore } from './memory-store.ts';
import { storeConformance } from './store-conformance.ts';

storeConformance('the store in memory', () => Promise.resolve(new MemoryStore()), { runs: 300 });
