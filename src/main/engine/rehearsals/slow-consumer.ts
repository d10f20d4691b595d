// A client that asks for a large answer and reads it slowly, over a real socket.
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { type Clock, sleep } from '../clock.ts';

/** Reads the answer of `url` at `bytesPerS`; resolves with its size, rejects when it ends early or `signal` aborts. */
export async function readSlowly(
  url: string,
  { bytesPerS, clock, signal }: { bytesPerS: number; clock: Clock; signal: AbortSignal },
): Promise<number> {
  // A connection of its own, which ends with it.
  const request = get(url, { agent: false, signal });
  // once() rejects with the request's error; its tuple is what the event carries.
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const beginMs = clock.now();
  let read = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    read += part.length;
    // What is not asked for stays in the socket, and then with the server.
    const aheadMs = (read / bytesPerS) * 1_000 - (clock.now() - beginMs);
    if (aheadMs > 0) await sleep(clock, aheadMs, signal);
  }
  return read;
}
