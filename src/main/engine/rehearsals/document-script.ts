// The script of incident 3: it reads a document from standard input and says how many pages it has. Some documents make
// it hang, some make it hang and grow, some make it end without a word. A real process, in a file of its own.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HeadwayError } from '../../../contract/errors.ts';

/** What a document does to the script. */
export type DocumentDoes = 'count' | 'hang' | 'grow' | 'nothing';

/** It never holds more than about so much. */
export const GROWS_TO_MEGABYTES = 120;
const STEP_MEGABYTES = 8;

interface Times {
  countMs: number;
  /** Between two steps of growth. */
  stepMs: number;
}

/**
 * Writes the script into `folder`; answers the command that runs it. On Windows it is a Node script, elsewhere one for
 * the shell, which needs a tenth of the time and memory to start. Throws `command-failed` where neither can be run.
 */
export function writeDocumentScript(
  folder: string,
  times: Times,
  { platform, execPath }: Pick<NodeJS.Process, 'platform' | 'execPath'> = process,
): { command: [string, ...string[]]; env: Record<string, string> } {
  if (platform === 'win32') {
    // The installed application cannot be told to be Node (electron-builder.yml, runAsNode): it would start itself.
    if (!/\b(node|electron)\.exe$/i.test(execPath))
      throw new HeadwayError(
        'command-failed',
        'On Windows the installed application cannot play this incident, for it has no script to run. Choose another one, or start Headway from its source.',
      );
    const file = join(folder, 'count-pages.mjs');
    writeFileSync(file, nodeScript(times));
    return { command: [execPath, file], env: { ELECTRON_RUN_AS_NODE: '1' } };
  }
  const file = join(folder, 'count-pages.sh');
  writeFileSync(file, shellScript(times));
  chmodSync(file, 0o700);
  return { command: ['/bin/sh', file], env: {} };
}

function shellScript({ countMs, stepMs }: Times): string {
  const steps = GROWS_TO_MEGABYTES / STEP_MEGABYTES - 2;
  return `#!/bin/sh
# Counts the pages of a document; written by Headway's rehearsal of a hanging script.
document=$(cat)
case $document in
  *'"does":"nothing"'*) exit 0 ;;
  *'"does":"hang"'*) exec sleep 86400 ;;
  *'"does":"grow"'*)
    block=$(head -c ${STEP_MEGABYTES * 1_000_000} /dev/zero | tr '\\0' x)
    step=0
    while [ $step -lt ${steps} ]; do
      eval "held_$step=\\$block"
      step=$((step + 1))
      sleep ${stepMs / 1_000}
    done
    while :; do sleep 60; done ;;
esac
sleep ${countMs / 1_000}
echo '{"pages":3}'
`;
}

function nodeScript({ countMs, stepMs }: Times): string {
  return `// Counts the pages of a document; written by Headway's rehearsal of a hanging script.
import { text } from 'node:stream/consumers';
const { does } = JSON.parse(await text(process.stdin));
const held = [];
const grow = () => {
  if (process.memoryUsage().rss < ${GROWS_TO_MEGABYTES * 1_000_000}) held.push(Buffer.alloc(${STEP_MEGABYTES * 1_000_000}, 1));
};
if (does === 'grow') setInterval(grow, ${stepMs});
else if (does === 'hang') setInterval(() => undefined, 60_000);
else if (does === 'count') setTimeout(() => process.stdout.write('{"pages":3}\\n'), ${countMs});
`;
}
