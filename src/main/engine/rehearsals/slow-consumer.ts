// A client that asks for a large answer and reads it slowly, over a real socket.
import { get, type IncomingMessage } from 'node:http';
import type { Clock } from '../clock.ts';

/** How often it reads what its rate allows. */
const READ_EVERY_MS = 100;

/** Reads the answer of `url` at `bytesPerS`; resolves with its size, rejects when it ends early or `signal` aborts. */
export function readSlowly(
  url: string,
  { bytesPerS, clock, signal }: { bytesPerS: number; clock: Clock; signal: AbortSignal },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, signal }, (response: IncomingMessage) => {
      let read = 0;
      const perTurn = (bytesPerS * READ_EVERY_MS) / 1_000;
      const turn = (): void => {
        for (let left = perTurn; left > 0;) {
          const part = response.read() as Buffer | null;
          if (part === null) break;
          left -= part.length;
          read += part.length;
        }
        if (!response.readableEnded && !response.destroyed) takeBack = clock.after(READ_EVERY_MS, turn);
      };
      // Never in flowing mode: it takes from the socket only when it reads.
      response.pause();
      let takeBack = clock.after(0, turn);
      response.once('end', () => resolve(read));
      response.once('close', () => {
        takeBack();
        reject(new Error('the answer ended early'));
      });
      response.once('error', reject);
    });
    request.once('error', reject);
  });
}
