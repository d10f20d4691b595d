// What a program writes, kept within a bound: a flood must not become memory of ours (incident 3).
import type { Readable } from 'node:stream';
import type { Clock } from '../../clock.ts';

/** A flood is read in gulps with pauses between: some 80 MB/s, which is a few per cent of a core. */
const GULP_BYTES = 4 * 1024 * 1024;
const PAUSE_MS = 50;

/** Keeps the first or the last bytes of a stream, counts all of them, and keeps reading so that the writer goes on. */
export class BoundedOutput {
  readonly #keep: 'first' | 'last';
  readonly #limitBytes: number;
  #chunks: Buffer[] = [];
  #keptBytes = 0;
  #totalBytes = 0;

  constructor(keep: 'first' | 'last', limitBytes: number) {
    this.#keep = keep;
    this.#limitBytes = limitBytes;
  }

  /** All that was written, bytes. */
  get totalBytes(): number {
    return this.#totalBytes;
  }

  get overflown(): boolean {
    return this.#totalBytes > this.#limitBytes;
  }

  take(chunk: Buffer): void {
    this.#totalBytes += chunk.length;
    if (this.#keep === 'first') this.#takeFirst(chunk);
    else this.#takeLast(chunk);
  }

  /** What is kept, as UTF-8; at most the last `bytes` of it. A character that was cut in two is left out. */
  text(bytes = this.#limitBytes): string {
    const kept = Buffer.concat(this.#chunks);
    const wanted = Math.min(bytes, this.#limitBytes);
    if (this.#keep === 'first') return kept.toString('utf8');
    let from = Math.max(0, kept.length - wanted);
    if (from > 0 || this.#totalBytes > kept.length) while (isContinuation(kept[from])) from += 1;
    return kept.toString('utf8', from);
  }

  #takeFirst(chunk: Buffer): void {
    const room = this.#limitBytes - this.#keptBytes;
    if (room <= 0) return;
    // A copy of the part: it would otherwise hold the whole chunk.
    this.#push(chunk.length <= room ? chunk : Buffer.from(chunk.subarray(0, room)));
  }

  #takeLast(chunk: Buffer): void {
    this.#push(
      chunk.length <= this.#limitBytes ? chunk : Buffer.from(chunk.subarray(chunk.length - this.#limitBytes)),
    );
    while (this.#keptBytes - (this.#chunks[0]?.length ?? 0) >= this.#limitBytes) {
      this.#keptBytes -= this.#chunks.shift()?.length ?? 0;
    }
    // A program that writes a byte at a time must not make a list of bytes.
    if (this.#chunks.length > MANY_CHUNKS) this.#chunks = [Buffer.concat(this.#chunks)];
  }

  #push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#keptBytes += chunk.length;
  }
}

const MANY_CHUNKS = 256;

/** Reads `stream` into `output` until it ends; the function returned closes our end and leaves nothing behind. */
export function follow(
  stream: Readable,
  output: BoundedOutput,
  clock: Clock,
  onChunk: () => void = () => undefined,
): () => void {
  let gulpBytes = 0;
  let takeBack: (() => void) | null = null;
  const onData = (chunk: Buffer): void => {
    output.take(chunk);
    onChunk();
    if (output.overflown) gulpBytes += chunk.length;
    if (gulpBytes < GULP_BYTES) return;
    gulpBytes = 0;
    stream.pause();
    takeBack = clock.after(PAUSE_MS, () => stream.resume());
  };
  // A pipe that breaks has nothing more to say; how the program ended tells the rest.
  const onError = (): void => undefined;
  stream.on('data', onData);
  stream.on('error', onError);
  return () => {
    takeBack?.();
    stream.off('data', onData);
    stream.destroy();
  };
}

/** A byte that goes on with a UTF-8 character begun before it. */
const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;
