// A Postal with incident 1 to point Headway at: `node tests/harness/postal-demo.ts [speed]`. Ctrl+C ends it;
// Enter queues another burst.
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startMariaDb } from './mariadb.ts';
import { incident1Servers, playIncident1 } from './postal-incident.ts';
import { createPostal, createReader } from './postal-schema.ts';
import { tempDir } from './temp.ts';

const speed = Number(process.argv[2] ?? 10);
await using dir = await tempDir('demo');
await using db = await startMariaDb();
const postal = await createPostal(db, { servers: [...incident1Servers] });
const reader = await createReader(postal);
const logFile = join(dir.path, 'worker.log');
await using incident = await playIncident1({ postal, logFile, speed });

process.stdout.write(
  `Incident 1 plays at ${speed} times the speed of life.
  host      ${db.host}
  port      ${db.port}
  database  ${postal.database}
  user      ${reader.user}
  password  ${reader.password}
  log file  ${logFile}
Enter queues another burst, Ctrl+C ends it all.\n`,
);

const ended = new AbortController();
process.once('SIGINT', () => ended.abort());
process.once('SIGTERM', () => ended.abort());
const terminal = createInterface({ input: process.stdin });
terminal.on('line', () => void incident.burst());
await once(ended.signal, 'abort');
terminal.close();
