// A store in a process of its own, for tests that end it: writes numbered lines for ever, and says up to which all are stored.
import { DiskLogStore } from '../../src/main/log-store/disk-log-store.ts';
import { lineOf, MEGABYTE } from './log-store-fixture.ts';

const folder = process.argv[2];
if (folder === undefined) throw new Error('log-store-child.ts takes a folder');
const store = new DiskLogStore({
  folder,
  budgetBytes: 64 * MEGABYTE,
  keepMs: Infinity,
  now: Date.now,
  onProblem: (problem) => console.log(`problem ${problem}`),
});
for (let i = 0; ;) {
  store.append(
    'mail',
    Array.from({ length: 100 }, () => lineOf(i, `line number=${i++} ${'x'.repeat(200)}`)),
  );
  await store.flush();
  console.log(`stored ${i}`);
}
