// What `headway worker` and `headway enqueue` end with (docs/engine.md).
import { HeadwayError, toWireError } from '../../contract/errors.ts';

export const EXIT = {
  /** Stopped in good order; everything enqueued. */
  ok: 0,
  /** Failed while running, or was stopped at once by a second signal; rows were refused. */
  failed: 1,
  /** The command, the jobs file, a handler or a row is wrong: nothing was done. */
  usage: 2,
  /** The store cannot be reached, or cannot be used. */
  store: 3,
  /** Stopped, but jobs were still running when the time was up: they were cut short and given back. */
  cutShort: 4,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The store would not have us, or is not there. */
export class StoreFailure extends Error {
  override readonly name = 'StoreFailure';
}

/** Runs a command to its exit code; what it throws is told on stderr. */
export async function exitWith(run: () => Promise<ExitCode>): Promise<void> {
  try {
    process.exitCode = await run();
  } catch (error) {
    const told = error instanceof StoreFailure ? error.cause : error;
    console.error(`headway: ${toWireError(told).message}`);
    if (!(told instanceof HeadwayError) && told instanceof Error) console.error(told.stack);
    process.exitCode = codeOf(error);
  }
}

const mistakes = new Set([
  'settings-invalid',
  'bad-request',
  'not-found',
  'file-missing',
  'secret-missing',
  'budget-exceeded',
]);

function codeOf(error: unknown): ExitCode {
  if (error instanceof StoreFailure) return EXIT.store;
  return error instanceof HeadwayError && mistakes.has(error.code) ? EXIT.usage : EXIT.failed;
}
