// From a declared kind to what does its work.
import { HeadwayError } from '../../../../contract/errors.ts';
import type { JobKind } from '../../../../contract/job-kinds.ts';
import type { Clock } from '../../clock.ts';
import type { Handler } from '../handler.ts';
import { CommandHandler } from './command-handler.ts';
import type { ReadSecret } from './declared-values.ts';
import type { Executors } from './executors.ts';
import { HttpHandler } from './http-handler.ts';
import { ModuleHandler } from './module-handler.ts';

export interface HandlerParts {
  /** Absolute; of the file that declares the kind: relative paths of programs and modules start here. */
  folder: string;
  /** The value of a secret; `what` names it in an error. Rejects when there is none. */
  secret: ReadSecret;
  clock: Clock;
  /** Shared by the handlers of an engine. Dispose of the handlers first, then of these. */
  executors: Executors;
}

/**
 * Starts nothing yet, and checks no program and no module: see `checkHandler`. The caller disposes of it when the engine
 * has stopped. Throws for a kind that no engine runs by itself.
 */
export function createHandler(kind: JobKind, parts: HandlerParts): Handler {
  return declared(kind, parts);
}

/**
 * What would keep every job of the kind from running, in words that name it; null when nothing does. A program must be
 * there and executable, a module must load (it is loaded to see). A server is not called: it may be away for a while.
 */
export async function checkHandler(kind: JobKind, parts: HandlerParts): Promise<string | null> {
  if (kind.handler.type === 'pull') return null;
  await using handler = declared(kind, parts);
  const problem = 'check' in handler ? await handler.check() : null;
  return problem === null ? null : `jobs of kind "${kind.kind}" cannot run: ${problem}`;
}

function declared(kind: JobKind, parts: HandlerParts): CommandHandler | HttpHandler | ModuleHandler {
  const { handler, ...policy } = kind;
  switch (handler.type) {
    case 'command':
      return new CommandHandler({ ...policy, handler }, { ...parts, processes: parts.executors.processes });
    case 'http':
      return new HttpHandler({ ...policy, handler }, parts);
    case 'module':
      return new ModuleHandler({ ...policy, handler }, { ...parts, threads: parts.executors.threads });
    case 'pull':
      throw new HeadwayError(
        'settings-invalid',
        `Jobs of kind "${kind.kind}" are taken by other programs over HTTP, which only a headless engine offers: headway worker --http.`,
      );
  }
}
