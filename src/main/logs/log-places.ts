// Where each log input was read to, kept over restarts of Headway: one small file for each connection.
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const keptPlaceSchema = z.object({
  /** As the kind of input has it; `null` when it has no place yet. */
  place: z.unknown(),
  /** When it was written down, Unix ms. */
  atMs: z.number(),
  /** Whether Headway stopped after it; otherwise lines behind it may have been handed over already. */
  settled: z.boolean(),
});
export type KeptPlace = z.infer<typeof keptPlaceSchema>;

const fileSchema = z.object({ version: z.literal(1), places: z.record(z.string(), keptPlaceSchema) });

/** The places of the inputs of one connection, by their labels. */
export interface LogPlaces {
  /** What was kept for the input; null when nothing was. From here on the place counts as not settled. */
  find(label: string): Promise<KeptPlace | null>;
  /** Lines were handed over: `place` is asked within a second where the next ones begin. */
  moved(label: string, place: () => unknown): void;
  /** The input is not read any more: writes its last place down. */
  settle(label: string, kept: KeptPlace): Promise<void>;
}

/** Keeps nothing: every start is a first one. */
export const noPlaces: LogPlaces = {
  find: () => Promise.resolve(null),
  moved: () => undefined,
  settle: () => Promise.resolve(),
};

export interface LogPlacesOptions {
  folder: string;
  now: () => number;
  /** Replaces a file whole or not at all; its folder is there. */
  write: (path: string, text: string) => Promise<unknown>;
  /** Told of each write that fails; null when one succeeded after that. */
  onProblem: (error: Error | null) => void;
}

/** Between two writes of one file. */
const INTERVAL_MS = 1_000;
/** Inputs that were not read for so long are forgotten: their logs have rotated many times. */
const FORGET_MS = 30 * 86_400_000;

/** One for a data directory, so that a connection that is set up anew goes on with what the old one knew. */
export class LogPlacesFolder {
  #options: LogPlacesOptions;
  #connections = new Map<string, ConnectionPlaces>();

  constructor(options: LogPlacesOptions) {
    this.#options = options;
  }

  /** `connectionId` consists of letters, digits and hyphens. */
  of(connectionId: string): LogPlaces {
    const known = this.#connections.get(connectionId);
    if (known !== undefined) return known;
    const places = new ConnectionPlaces(join(this.#options.folder, `${connectionId}.json`), this.#options);
    this.#connections.set(connectionId, places);
    return places;
  }
}

class ConnectionPlaces implements LogPlaces {
  #file: string;
  #options: LogPlacesOptions;
  #places: Promise<Map<string, KeptPlace>> | null = null;
  /** Inputs that moved since the last write. */
  #moved = new Map<string, () => unknown>();
  /** Ends the wait for the next write early. */
  #hurry: AbortController | null = null;
  #writing: Promise<void> | null = null;
  #isDirty = false;
  #failed = false;

  constructor(file: string, options: LogPlacesOptions) {
    this.#file = file;
    this.#options = options;
  }

  async find(label: string): Promise<KeptPlace | null> {
    const places = await this.#read();
    const kept = places.get(label);
    if (kept === undefined) return null;
    // On disk before the first line is read, so that a crash cannot leave a settled place that is behind.
    if (kept.settled) {
      places.set(label, { ...kept, settled: false });
      await this.#write();
    }
    return kept;
  }

  moved(label: string, place: () => unknown): void {
    this.#moved.set(label, place);
    this.#isDirty = true;
    this.#writing ??= this.#writeSoon();
  }

  async settle(label: string, kept: KeptPlace): Promise<void> {
    const places = await this.#read();
    this.#moved.delete(label);
    places.set(label, kept);
    await this.#write();
  }

  async #write(): Promise<void> {
    this.#isDirty = true;
    // What is being written may be older than this; then another write follows.
    do {
      this.#writing ??= this.#writeSoon();
      this.#hurry?.abort();
      await this.#writing;
    } while (this.#isBehind());
  }

  // A method, so that the compiler does not take an earlier look for the present state.
  #isBehind(): boolean {
    return this.#isDirty;
  }

  async #writeSoon(): Promise<void> {
    const hurry = new AbortController();
    this.#hurry = hurry;
    try {
      await sleep(INTERVAL_MS, undefined, { signal: hurry.signal }).catch(() => undefined);
      const { now, write, onProblem } = this.#options;
      const places = await this.#read();
      this.#isDirty = false;
      for (const [label, place] of this.#moved) {
        places.set(label, { place: place(), atMs: now(), settled: false });
      }
      this.#moved.clear();
      for (const [label, { atMs }] of places) if (atMs < now() - FORGET_MS) places.delete(label);
      try {
        await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
        await write(this.#file, `${JSON.stringify({ version: 1, places: Object.fromEntries(places) })}\n`);
        if (this.#failed) onProblem(null);
        this.#failed = false;
      } catch (error) {
        // Reading goes on; only a restart would suffer, and the next write may succeed.
        this.#failed = true;
        onProblem(error instanceof Error ? error : new Error(String(error)));
      }
    } finally {
      this.#hurry = null;
      this.#writing = null;
    }
  }

  /** A file that is missing, unreadable or of another version says nothing: inputs begin as at their first start. */
  #read(): Promise<Map<string, KeptPlace>> {
    this.#places ??= readFile(this.#file, 'utf8')
      .then((text) => new Map(Object.entries(fileSchema.parse(JSON.parse(text)).places)))
      .catch(() => new Map<string, KeptPlace>());
    return this.#places;
  }
}
