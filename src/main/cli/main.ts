// The `headway` command. Each subcommand has a file of its own; this one only names them, and loads the one that is
// called: a snapshot needs no web server.
import { Command, InvalidArgumentError } from 'commander';
import { toWireError } from '../../contract/errors.ts';
import type { ServeOptions } from './serve.ts';
import type { SnapshotOptions } from './snapshot.ts';
import type { TimingOptions } from './timing.ts';

/** Exit codes: 0 all well, 1 something could not be read, 2 the command or the settings are wrong. */
const USAGE_ERROR = 2;

function port(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535)
    throw new InvalidArgumentError('a port is a whole number from 0 (any free one) to 65535');
  return value;
}

const program = new Command('headway')
  .description('Live lag, timing and alerts of job queues that live in databases')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE_ERROR))
  .showHelpAfterError();

const configOption = ['--config <file>', 'settings file; "-" reads it from standard input'] as const;

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

try {
  await program.parseAsync();
} catch (error) {
  const { code, message } = toWireError(error);
  console.error(`headway: ${message}`);
  process.exitCode = code === 'settings-invalid' || code === 'bad-request' ? USAGE_ERROR : 1;
}
