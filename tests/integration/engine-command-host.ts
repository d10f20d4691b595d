// A process that runs commands as jobs and says their process ids: for tests that kill it.
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { createHandler } from '../../src/main/engine/workers/handlers/create-handler.ts';
import { Executors } from '../../src/main/engine/workers/handlers/executors.ts';
import { aContext, aJob } from './engine-handler-fixture.ts';

const [mark = '', ...command] = process.argv.slice(2);
const [name = '', value = ''] = mark.split('=');
const kind = jobKindSchema.parse({
  kind: 'test',
  handler: { type: 'command', command, env: { [name]: value } },
});
const executors = new Executors(systemClock, 2);
const handler = createHandler(kind, {
  folder: process.cwd(),
  secret: () => Promise.reject(new Error('there is no secret here')),
  clock: systemClock,
  executors,
});
const ended = handler.run(aJob(), aContext().context);
for (;;) {
  const pid = handler.use?.(1)?.pid ?? null;
  if (pid !== null) {
    process.stdout.write(`${pid}\n`);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 10));
}
await ended;
