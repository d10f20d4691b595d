// Temporary folders and free ports.
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of one's own that is gone, with all it holds, when disposed or at the latest when Node exits. */
export interface TempDir extends AsyncDisposable {
  readonly path: string;
}

const remaining = new Set<string>();
process.on('exit', () => {
  for (const path of remaining) rmSync(path, { recursive: true, force: true, maxRetries: 3 });
});

/** Creates a temporary folder; `label` makes it recognisable. */
export async function tempDir(label = 'test'): Promise<TempDir> {
  const path = await mkdtemp(join(tmpdir(), `headway-${label}-`));
  remaining.add(path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
      remaining.delete(path);
    },
  };
}

/**
 * A TCP port on 127.0.0.1 that nobody listens on. It lies below the ephemeral range (32768 on Linux), so no
 * client's outgoing connection takes it while a server is restarted in place on the same port.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    if (await isFree(port)) return port;
  }
  throw new Error('found no free port between 15000 and 32000 on 127.0.0.1');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
