// Finished attempts as the history keeps them: each by itself while raw, as mergeable sketches in wider spans.
import { QuantileSketch } from '../../core/sketch.ts';
import { ByteReader, ByteWriter } from './bytes.ts';

/** The whole run's place among the stages; named stages count from 1 (table `stages`). */
export const RUN = 0;

/** One attempt. Durations in ms, kept to the microsecond. */
export interface Attempt {
  atMs: number;
  failed: boolean;
  /** By stage, RUN included. */
  durationsMs: Map<number, number>;
}

/** The attempts of a span: how many, how many failed, and the distribution of each stage. */
export interface AttemptSpan {
  tMs: number;
  finished: number;
  failed: number;
  stages: Map<number, QuantileSketch>;
}

export const emptySpan = (tMs: number): AttemptSpan => ({
  tMs,
  finished: 0,
  failed: 0,
  stages: new Map<number, QuantileSketch>(),
});

export function addAttempt(span: AttemptSpan, attempt: Attempt): void {
  span.finished++;
  if (attempt.failed) span.failed++;
  for (const [stage, ms] of attempt.durationsMs) sketchOf(span, stage).add(ms);
}

export function mergeSpan(into: AttemptSpan, other: AttemptSpan): void {
  into.finished += other.finished;
  into.failed += other.failed;
  for (const [stage, sketch] of other.stages) sketchOf(into, stage).merge(sketch);
}

function sketchOf(span: AttemptSpan, stage: number): QuantileSketch {
  let sketch = span.stages.get(stage);
  if (sketch === undefined) {
    sketch = new QuantileSketch();
    span.stages.set(stage, sketch);
  }
  return sketch;
}

/** Adds each part, attempt or span, to the span of a given width that it falls into; in the order of time. */
export function gather<T>(
  parts: Iterable<T>,
  widthMs: number,
  timeOf: (part: T) => number,
  add: (span: AttemptSpan, part: T) => void,
): AttemptSpan[] {
  const spans = new Map<number, AttemptSpan>();
  for (const part of parts) {
    const tMs = Math.floor(timeOf(part) / widthMs) * widthMs;
    let span = spans.get(tMs);
    if (span === undefined) {
      span = emptySpan(tMs);
      spans.set(tMs, span);
    }
    add(span, part);
  }
  return [...spans.values()].sort((a, b) => a.tMs - b.tMs);
}

/** Attempts in the order of time as bytes. */
export class AttemptWriter {
  readonly #bytes = new ByteWriter();
  #previousMs: number;

  constructor(startMs: number) {
    this.#previousMs = startMs;
  }

  /** Everything added so far. A view: it is valid until the next `add`. */
  get bytes(): Uint8Array {
    return this.#bytes.written;
  }

  /** False, and nothing added, when the attempt is older than the one before. */
  add({ atMs, failed, durationsMs }: Attempt): boolean {
    if (atMs < this.#previousMs) return false;
    this.#bytes.varint(atMs - this.#previousMs);
    this.#bytes.varint(durationsMs.size * 2 + Number(failed));
    for (const [stage, ms] of durationsMs) {
      this.#bytes.varint(stage);
      this.#bytes.varint(Math.round(ms * 1000));
    }
    this.#previousMs = atMs;
    return true;
  }
}

export function decodeAttempts(encoded: Uint8Array, startMs: number): Attempt[] {
  const bytes = new ByteReader(encoded);
  const attempts: Attempt[] = [];
  let atMs = startMs;
  while (bytes.left > 0) {
    atMs += bytes.varint();
    const head = bytes.varint();
    const durationsMs = new Map<number, number>();
    for (let left = Math.floor(head / 2); left > 0; left--)
      durationsMs.set(bytes.varint(), bytes.varint() / 1000);
    attempts.push({ atMs, failed: head % 2 === 1, durationsMs });
  }
  return attempts;
}

/** Spans in the order of time as bytes. */
export function encodeSpans(spans: readonly AttemptSpan[], startMs: number): Uint8Array {
  const bytes = new ByteWriter(spans.length * 128);
  let previousMs = startMs;
  for (const { tMs, finished, failed, stages } of spans) {
    bytes.varint(tMs - previousMs);
    bytes.varint(finished);
    bytes.varint(failed);
    bytes.varint(stages.size);
    for (const [stage, sketch] of stages) {
      bytes.varint(stage);
      bytes.block(sketch.encode());
    }
    previousMs = tMs;
  }
  return bytes.written;
}

export function decodeSpans(encoded: Uint8Array, startMs: number): AttemptSpan[] {
  const bytes = new ByteReader(encoded);
  const spans: AttemptSpan[] = [];
  let tMs = startMs;
  while (bytes.left > 0) {
    tMs += bytes.varint();
    const span: AttemptSpan = { ...emptySpan(tMs), finished: bytes.varint(), failed: bytes.varint() };
    for (let left = bytes.varint(); left > 0; left--) {
      const stage = bytes.varint();
      span.stages.set(stage, QuantileSketch.decode(bytes.block()));
    }
    spans.push(span);
  }
  return spans;
}

/** Hears what is in a chunk, in the order of time. Times and durations in ms. */
export interface AttemptVisitor {
  /** Attempts of a moment or span, before their stages; false: those are not wanted. */
  outcome(tMs: number, finished: number, failed: number): boolean;
  value(stage: number, ms: number): void;
  /** An encoded sketch: the bytes of `view` in [from, to). */
  sketch(stage: number, view: DataView, from: number, to: number): void;
}

/** As decodeAttempts, without an object for each. */
export function visitAttempts(encoded: Uint8Array, startMs: number, visitor: AttemptVisitor): void {
  const bytes = new ByteReader(encoded);
  let atMs = startMs;
  while (bytes.left > 0) {
    atMs += bytes.varint();
    const head = bytes.varint();
    const wanted = visitor.outcome(atMs, 1, head % 2);
    for (let left = Math.floor(head / 2); left > 0; left--) {
      const stage = bytes.varint();
      const ms = bytes.varint() / 1000;
      if (wanted) visitor.value(stage, ms);
    }
  }
}

/** As decodeSpans, without an object for each. */
export function visitSpans(encoded: Uint8Array, startMs: number, visitor: AttemptVisitor): void {
  const bytes = new ByteReader(encoded);
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  let tMs = startMs;
  while (bytes.left > 0) {
    tMs += bytes.varint();
    const wanted = visitor.outcome(tMs, bytes.varint(), bytes.varint());
    for (let left = bytes.varint(); left > 0; left--) {
      const stage = bytes.varint();
      const from = bytes.skipBlock();
      if (wanted) visitor.sketch(stage, view, from, bytes.at);
    }
  }
}
