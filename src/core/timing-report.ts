// Timing of a whole log at once: per group and stage, in one pass and in bounded memory; parts can be merged.
import { QuantileSketch } from './sketch.ts';

/** What one `[TIMING]` line adds. Durations in ms, times epoch ms. */
export interface TimingEntry {
  group: string;
  failed: boolean;
  startedAtMs: number | null;
  /** Stage and duration, one after the other; the total is the stage "total". */
  stages: readonly (readonly [stage: string, ms: number])[];
}

/** A group's stages in a fixed order. */
export interface ReportRow {
  /** `durationsMs` in the order of the row's stages. */
  add(failed: boolean, startedAtMs: number | null, durationsMs: Float64Array): void;
}

export interface StageFigures {
  stage: string;
  count: number;
  meanMs: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  maxMs: number;
}

export interface GroupFigures {
  group: string;
  count: number;
  failed: number;
  stages: StageFigures[];
}

export interface ReportFigures {
  /** First and last start in the log; null where no line tells. */
  fromMs: number | null;
  toMs: number | null;
  malformed: number;
  all: GroupFigures;
  /** Most attempts first. */
  groups: GroupFigures[];
}

/** A part of a report, to be handed over between threads. */
export interface EncodedReport {
  fromMs: number;
  toMs: number;
  malformed: number;
  groups: {
    group: string;
    count: number;
    failed: number;
    stages: [stage: string, sumMs: number, sketch: Uint8Array][];
  }[];
}

/** What exceeds this many groups counts as one, so that a log of garbage ids cannot fill the memory. */
export const MAX_GROUPS = 10_000;
/** Likewise the stages of a group. */
export const MAX_STAGES = 64;
export const OTHER_GROUPS = '(other)';
const OTHER_STAGES = 'other stages';
const TOTAL = 'total';

interface Stage {
  sumMs: number;
  sketch: QuantileSketch;
}

interface Group {
  count: number;
  failed: number;
  stages: Map<string, Stage>;
}

export class TimingReport {
  #fromMs = Infinity;
  #toMs = -Infinity;
  #malformed = 0;
  readonly #groups = new Map<string, Group>();

  add(entry: TimingEntry): void {
    const group = this.#group(entry.group);
    group.count += 1;
    if (entry.failed) group.failed += 1;
    if (entry.startedAtMs !== null) this.#span(entry.startedAtMs, entry.startedAtMs);
    for (const [name, ms] of entry.stages) {
      const stage = stageOf(group, name);
      stage.sumMs += ms;
      stage.sketch.add(ms);
    }
  }

  /** For many entries of one group and with the same stages: what `add` looks up each time is looked up once. */
  row(groupName: string, stageNames: readonly string[]): ReportRow {
    const group = this.#group(groupName);
    const stages = stageNames.map((name) => stageOf(group, name));
    return {
      add: (failed, startedAtMs, durationsMs) => {
        group.count += 1;
        if (failed) group.failed += 1;
        if (startedAtMs !== null) this.#span(startedAtMs, startedAtMs);
        for (let i = 0; i < stages.length; i++) {
          const stage = stages[i];
          const ms = durationsMs[i];
          if (stage === undefined || ms === undefined) continue;
          stage.sumMs += ms;
          stage.sketch.add(ms);
        }
      },
    };
  }

  /** A `[TIMING]` line that could not be read. */
  addMalformed(count = 1): void {
    this.#malformed += count;
  }

  /** Adds what another part of the log gave. */
  merge(part: EncodedReport): void {
    this.#malformed += part.malformed;
    this.#span(part.fromMs, part.toMs);
    for (const { group: name, count, failed, stages } of part.groups) {
      const group = this.#group(name);
      group.count += count;
      group.failed += failed;
      for (const [stage, sumMs, bytes] of stages)
        mergeStage(stageOf(group, stage), { sumMs, sketch: QuantileSketch.decode(bytes) });
    }
  }

  encode(): EncodedReport {
    return {
      fromMs: this.#fromMs,
      toMs: this.#toMs,
      malformed: this.#malformed,
      groups: [...this.#groups].map(([group, { count, failed, stages }]) => ({
        group,
        count,
        failed,
        stages: [...stages].map(([stage, { sumMs, sketch }]) => [stage, sumMs, sketch.encode()]),
      })),
    };
  }

  figures(): ReportFigures {
    const all: Group = { count: 0, failed: 0, stages: new Map() };
    for (const group of this.#groups.values()) {
      all.count += group.count;
      all.failed += group.failed;
      for (const [name, stage] of group.stages) mergeStage(stageOf(all, name), stage);
    }
    return {
      fromMs: Number.isFinite(this.#fromMs) ? this.#fromMs : null,
      toMs: Number.isFinite(this.#toMs) ? this.#toMs : null,
      malformed: this.#malformed,
      all: figuresOf('all', all),
      groups: [...this.#groups]
        .map(([name, group]) => figuresOf(name, group))
        .sort((a, b) => b.count - a.count || (a.group < b.group ? -1 : 1)),
    };
  }

  #span(fromMs: number, toMs: number): void {
    if (fromMs < this.#fromMs) this.#fromMs = fromMs;
    if (toMs > this.#toMs) this.#toMs = toMs;
  }

  #group(name: string): Group {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    if (this.#groups.size >= MAX_GROUPS && name !== OTHER_GROUPS) return this.#group(OTHER_GROUPS);
    const group: Group = { count: 0, failed: 0, stages: new Map() };
    this.#groups.set(name, group);
    return group;
  }
}

function stageOf(group: Group, name: string): Stage {
  const known = group.stages.get(name);
  if (known !== undefined) return known;
  if (group.stages.size >= MAX_STAGES && name !== TOTAL && name !== OTHER_STAGES)
    return stageOf(group, OTHER_STAGES);
  const stage = { sumMs: 0, sketch: new QuantileSketch() };
  group.stages.set(name, stage);
  return stage;
}

function mergeStage(into: Stage, part: Stage): void {
  into.sumMs += part.sumMs;
  into.sketch.merge(part.sketch);
}

/** Stages in the order of the log, the total last. */
function figuresOf(name: string, group: Group): GroupFigures {
  const stages = [...group.stages].flatMap(([stage, { sumMs, sketch }]): StageFigures[] => {
    const [p50Ms, p95Ms, p99Ms] = sketch.quantiles([0.5, 0.95, 0.99]);
    if (p50Ms === undefined || p95Ms === undefined || p99Ms === undefined) return [];
    const { count, max } = sketch;
    return [{ stage, count, meanMs: sumMs / count, p50Ms, p95Ms, p99Ms, maxMs: max ?? 0 }];
  });
  const isTotal = ({ stage }: StageFigures): boolean => stage === TOTAL;
  return {
    group: name,
    count: group.count,
    failed: group.failed,
    stages: [...stages.filter((stage) => !isTotal(stage)), ...stages.filter(isTotal)],
  };
}
