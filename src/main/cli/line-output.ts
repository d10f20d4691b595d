import type { Writable } from 'node:stream';

/** Lines are gathered so long, or up to so many characters, for one system call. */
const GATHER_MS = 100;
const PIECE = 64 * 1024;
/** How long the last word may take. */
const LAST_MS = 1_000;

/**
 * Lines to a stream, at the pace of whoever reads it. What waits beyond `mostBytes` is dropped and counted; when nobody
 * reads any more, everything is. So a log that nobody reads costs neither memory nor time, and never keeps a process.
 */
export class LineOutput implements AsyncDisposable {
  readonly #stream: Writable;
  readonly #mostBytes: number;
  #lines: string[] = [];
  #size = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;
  #isBroken = false;

  constructor(stream: Writable, mostBytes: number) {
    this.#stream = stream;
    this.#mostBytes = mostBytes;
    // EPIPE and its like: nobody reads any more.
    stream.on('error', () => (this.#isBroken = true));
  }

  /** Lines that were dropped since this was last asked. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  /** `text` ends with a newline. */
  write(text: string): void {
    if (this.#isBroken || this.#stream.writableLength + this.#size + text.length > this.#mostBytes) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(text);
    this.#size += text.length;
    if (this.#size >= PIECE) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), GATHER_MS);
  }

  /** Writes what is left, for as long as its reader takes it within a second. The stream stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    const patience = new AbortController();
    const written = new Promise<void>((resolve) => this.#flush(resolve));
    const timer = setTimeout(() => patience.abort(), LAST_MS);
    const late = new Promise<void>((resolve) => patience.signal.addEventListener('abort', () => resolve()));
    await Promise.race([written, late]);
    clearTimeout(timer);
    this.#isBroken = true;
  }

  #flush(done: () => void = () => undefined): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const text = this.#lines.join('');
    this.#lines = [];
    this.#size = 0;
    if (this.#isBroken) done();
    else this.#stream.write(text, () => done());
  }
}
