import { HeadwayError } from '../../contract/errors.ts';
import type { JobKind } from '../../contract/job-kinds.ts';
import type { EngineKind } from '../engine/engine-parts.ts';
import { pulledKind } from '../engine/intake/pulled-kind.ts';
import { checkHandler, createHandler, type HandlerParts } from '../engine/workers/handlers/create-handler.ts';

/**
 * The declared kinds with what does their work; the stack disposes of it. Rejects with `settings-invalid` that names every
 * kind that could not run: no such program, a module that does not load.
 */
export async function loadKinds(
  kinds: readonly JobKind[],
  parts: HandlerParts,
  stack: AsyncDisposableStack,
): Promise<EngineKind[]> {
  const problems: string[] = [];
  const loaded: EngineKind[] = [];
  // One after another: what loads a module or runs a probe would disturb its neighbour's measure of time.
  for (const kind of kinds) {
    if (kind.handler.type === 'pull') {
      loaded.push(pulledKind(kind));
      continue;
    }
    const problem = await checkHandler(kind, parts);
    if (problem !== null) problems.push(problem);
    const { handler: _, ...policy } = kind;
    const handler = createHandler(kind, parts);
    stack.defer(() => handler[Symbol.asyncDispose]?.());
    loaded.push({ policy, handler });
  }
  if (problems.length > 0) throw new HeadwayError('settings-invalid', problems.join('\n'));
  return loaded;
}
