// What the timing view shows, as it stands in its address: a range, tenants, and what to compare with.

/** The last piece of time, moving on, or a fixed one. */
export type TimingRange = { kind: 'last'; spanMs: number } | { kind: 'fixed'; fromMs: number; toMs: number };
/** The second range: as long as the first, and so much before it. */
export type Against = 'before' | 'day' | 'week';

export interface TimingWish {
  range: TimingRange;
  /** Empty: all. */
  tenantIds: readonly string[];
  against: Against | null;
  /** Of the density plot. */
  stage: string;
}

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
export const timingSpans = [
  { name: '15m', label: '15 m', spanMs: 15 * MINUTE },
  { name: '1h', label: '1 h', spanMs: 60 * MINUTE },
  { name: '6h', label: '6 h', spanMs: 360 * MINUTE },
  { name: '24h', label: '24 h', spanMs: DAY },
  { name: '7d', label: '7 d', spanMs: 7 * DAY },
] as const;
const USUAL = timingSpans[1];
/** The whole run among the stages. */
export const RUN = 'total';
/** As many as the contract takes. */
export const MAX_TENANTS = 50;
export const againstOptions: readonly { value: Against; label: string }[] = [
  { value: 'before', label: 'the same time before it' },
  { value: 'day', label: 'the day before' },
  { value: 'week', label: 'the week before' },
];

/** A wrong or missing part is as it is at first. */
export function parseTiming(query: Readonly<Record<string, string>>): TimingWish {
  const [fromMs, toMs] = [Number(query['from']), Number(query['to'])];
  const last = timingSpans.find(({ name }) => name === query['last']) ?? USUAL;
  return {
    range:
      fromMs > 0 && toMs > fromMs && toMs < 8e15
        ? { kind: 'fixed', fromMs, toMs }
        : { kind: 'last', spanMs: last.spanMs },
    tenantIds: [
      ...new Set(
        (query['tenants'] ?? '')
          .split(',')
          .filter((id) => id !== '')
          .map(decode),
      ),
    ].slice(0, MAX_TENANTS),
    against: againstOptions.find(({ value }) => value === query['against'])?.value ?? null,
    stage: query['stage'] ?? RUN,
  };
}

/** The inverse of parseTiming; what is as at first is left out. */
export function timingQuery({ range, tenantIds, against, stage }: TimingWish): Record<string, string> {
  const query: Record<string, string> = {};
  if (range.kind === 'fixed') {
    query['from'] = String(Math.round(range.fromMs));
    query['to'] = String(Math.round(range.toMs));
  } else if (range.spanMs !== USUAL.spanMs) {
    query['last'] = timingSpans.find(({ spanMs }) => spanMs === range.spanMs)?.name ?? USUAL.name;
  }
  // An id may hold a comma.
  if (tenantIds.length > 0) query['tenants'] = tenantIds.map(encodeURIComponent).join(',');
  if (against !== null) query['against'] = against;
  if (stage !== RUN) query['stage'] = stage;
  return query;
}

export function edgesOf(range: TimingRange, nowMs: number): { fromMs: number; toMs: number } {
  if (range.kind === 'fixed') return { fromMs: range.fromMs, toMs: range.toMs };
  return { fromMs: nowMs - range.spanMs, toMs: nowMs };
}

export function againstEdges(
  { fromMs, toMs }: { fromMs: number; toMs: number },
  against: Against | null,
): { fromMs: number; toMs: number } | null {
  if (against === null) return null;
  const backMs = { before: toMs - fromMs, day: DAY, week: 7 * DAY }[against];
  return { fromMs: fromMs - backMs, toMs: toMs - backMs };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
