// A process that runs an engine whose jobs are programs, which write down what they did: for tests that kill it.
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import { anEngine } from './engine-fault-fixture.ts';

const [folder = '', mark = ''] = process.argv.slice(2);
const [name = '', value = ''] = mark.split('=');
await using it = anEngine(SqliteStore.open({ file: join(folder, 'engine.db') }), folder, {
  work: {
    handler: {
      type: 'command',
      // Some of what it starts does not hear SIGTERM. What it writes, it writes at once.
      command: [
        '/bin/sh',
        '-c',
        '(trap "" TERM; sleep 0.3) & sleep 0.1; wait; printf "%s\\n" "$(cat)" >> done.txt',
      ],
      env: { [name]: value },
    },
  },
});
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
await it.engine.start();
process.stdout.write('started\n');
while (!stop.signal.aborted) await sleep(10);
