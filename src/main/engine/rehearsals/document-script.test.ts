import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DocumentDoes, writeDocumentScript } from './document-script.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headway-script-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** What the script of a platform says to a document; null when it still runs after a while. */
async function ask(platform: NodeJS.Platform, does: DocumentDoes): Promise<string | null> {
  const times = { countMs: 5, stepMs: 5 };
  const { command, env } = writeDocumentScript(folder, times, { platform, execPath: nodeAs(platform) });
  const [, ...words] = command;
  const program = platform === 'win32' ? process.execPath : command[0];
  const child = spawn(program, words, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify({ name: 'a.pdf', does }));
  const hangs = setTimeout(() => child.kill('SIGKILL'), does === 'hang' ? 500 : 10_000);
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once('exit', (_code, signal) => resolve(signal)),
  );
  const said = await text(child.stdout);
  clearTimeout(hangs);
  return (await ended) === null ? said.trim() : null;
}
const nodeAs = (platform: NodeJS.Platform): string =>
  platform === 'win32' ? 'C:\\Program Files\\nodejs\\node.exe' : process.execPath;

describe('the script of incident 3', () => {
  it.each(['linux', 'win32'] as const)(
    'counts, hangs, or says nothing, as its document wants (%s)',
    async (platform) => {
      expect(await ask(platform, 'count')).toBe('{"pages":3}');
      expect(await ask(platform, 'nothing')).toBe('');
      expect(await ask(platform, 'hang')).toBeNull();
    },
  );

  it('does not start the installed application in place of a script', () => {
    const installed = { platform: 'win32', execPath: 'C:\\Programs\\Headway\\Headway.exe' } as const;
    expect(() => writeDocumentScript(folder, { countMs: 1, stepMs: 1 }, installed)).toThrow(
      'cannot play this incident',
    );
  });
});
