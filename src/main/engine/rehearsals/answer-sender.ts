// The two ways in which a message server hands out large answers: whole, one client after another (as incident 2 was),
// or streamed in chunks that wait for their own client alone (its cure).
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** Answers of 128 KB and more were streamed in chunks of this size. */
const CHUNK_BYTES = 64 * 1024;
const chunk = Buffer.alloc(CHUNK_BYTES, '.');

export class AnswerSender {
  /** The last whole answer: the next one begins when its client has it all. */
  #last: Promise<void> = Promise.resolve();

  /** Resolves when the client has it, or has gone. */
  async send(response: ServerResponse, bytes: number, how: 'whole' | 'streamed'): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes });
    if (how === 'streamed') return stream(response, bytes);
    const mine = this.#last.then(() => whole(response, bytes));
    this.#last = mine;
    return mine;
  }
}

/** Built in memory and written at once; whoever waits behind it waits for this client. */
async function whole(response: ServerResponse, bytes: number): Promise<void> {
  if (response.destroyed) return;
  const closed = new Promise<void>((resolve) => response.once('close', () => resolve()));
  const written = new Promise<void>((resolve) => response.end(Buffer.alloc(bytes, '.'), () => resolve()));
  await Promise.race([closed, written]);
}

async function stream(response: ServerResponse, bytes: number): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  for (let left = bytes; left > 0 && !response.destroyed; left -= CHUNK_BYTES) {
    if (response.write(left < CHUNK_BYTES ? chunk.subarray(0, left) : chunk)) continue;
    // Back-pressure: this client's socket is full. Rejects when it goes away.
    await once(response, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
  response.end();
}
