// The `headway` command. Each subcommand has a file of its own; this one only names them, and loads the one that is
// called: a snapshot needs no web server.
import { Command, InvalidArgumentError } from 'commander';
import { toWireError } from '../../contract/headway-error.ts';
import type { EnqueueOptions } from './enqueue.ts';
import type { ServeOptions } from './serve.ts';
import type { SnapshotOptions } from './snapshot.ts';
import type { TimingOptions } from './timing.ts';
import type { WorkerOptions } from './worker.ts';

/** Exit codes: 0 all well, 1 something could not be read, 2 the command or the settings are wrong. */
const USAGE_ERROR = 2;

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError('a port is a whole number from 0 (any free one) to 65535');
  return value;
}

function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < from || value > to)
      throw new InvalidArgumentError(`use a whole number from ${from} to ${to}`);
    return value;
  };
}

const program = new Command('headway')
  .description('Live lag, timing and alerts of job queues that live in databases')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE_ERROR))
  .showHelpAfterError();

const configOption = ['--config <file>', 'settings file; "-" reads it from standard input'] as const;

const passwordOption = [
  '--password-file <file>',
  'password of the database (also HEADWAY_STORE_PASSWORD)',
] as const;

program
  .command('serve')
  .description('serve the window to a browser and print its URL with a one-time token')
  .option(...configOption)
  .option('--port <number>', 'port to listen on; 0 takes a free one', port)
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--data <directory>', 'data directory (history, secrets, known hosts)')
  .option('--open', 'open the browser', false)
  .action(async (options: ServeOptions) => (await import('./serve.ts')).serve(options));

program
  .command('snapshot')
  .description('print one snapshot of every connection')
  .option(...configOption)
  .option('--data <directory>', 'data directory (secrets)')
  .option('--json', 'print JSON', false)
  .action(async (options: SnapshotOptions) => (await import('./snapshot.ts')).snapshot(options));

program
  .command('timing')
  .description('count, rate, errors and percentiles per tenant and stage from the [TIMING] lines of logs')
  .argument('[files...]', 'log files, also gzip; "-" or none reads standard input')
  .option('--by <field>', 'field of the [TIMING] object to group by (default: the tenant)')
  .option('--json', 'print JSON', false)
  .option('--follow', 'go on as the files grow', false)
  .action(async (files: string[], options: TimingOptions) =>
    (await import('./timing.ts')).timing(files, options),
  );

program
  .command('worker')
  .description('run jobs without a window; exit codes and the jobs file: docs/engine.md')
  .requiredOption('--store <url>', 'sqlite:FILE, postgres://USER@HOST/DATABASE or mysql://USER@HOST/DATABASE')
  .requiredOption('--jobs <file>', 'declares the kinds of jobs')
  .option(...passwordOption)
  .option('--workers <number>', 'jobs at once (also HEADWAY_WORKERS)', wholeNumber(1, 512))
  .option('--http <host:port>', 'take and hand out jobs over HTTP; port 0 takes a free one')
  .option('--token-file <file>', 'the token of --http; made when it is not there')
  .option('--name <name>', 'names this engine among those that share the store')
  .option('--memory <megabytes>', 'memory it may use', wholeNumber(64, 1_048_576))
  .option('--report-every <seconds>', 'a [STATUS] line so often; 0 for none', wholeNumber(0, 86_400), 60)
  .option('--data <directory>', 'data directory (secrets, token)')
  .action(async (options: WorkerOptions) => (await import('./worker.ts')).worker(options));

program
  .command('enqueue')
  .description('enqueue a job, or NDJSON rows from standard input')
  .requiredOption('--store <url>', 'as for worker')
  .option('--kind <name>', 'kind of the job, or of rows that name none')
  .option('--tenant <id>', 'whose it is, or of rows that name none')
  .option('--payload <json>', 'enqueue one job with this payload')
  .option('--jobs <file>', 'check against the kinds that are declared here')
  .option('--priority <number>', 'higher goes first within its tenant', wholeNumber(-1000, 1000))
  .option('--at <time>', 'not before, as 2026-03-01T09:00:00Z')
  .option('--key <key>', 'idempotency key; for rows KEY#1, KEY#2, …')
  .option('--batch <id>', 'names jobs that belong together')
  .option('--each', 'answer every row on its own instead of all or none', false)
  .option(...passwordOption)
  .action(async (options: EnqueueOptions) => (await import('./enqueue.ts')).enqueue(options));

try {
  await program.parseAsync();
} catch (error) {
  const { code, message } = toWireError(error);
  console.error(`headway: ${message}`);
  process.exitCode = code === 'settings-invalid' || code === 'bad-request' ? USAGE_ERROR : 1;
}
