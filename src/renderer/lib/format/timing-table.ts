// A timing analysis as rows: for the table on the screen, and as CSV to take away.
import type { StagesOf, TimingAnalysis } from '../../../contract/log-search.ts';
import { stageLabel } from './timing-words.ts';

export type TenantTimes = TimingAnalysis['tenants'][number];
export const figures = ['p50Ms', 'p95Ms', 'p99Ms', 'maxMs'] as const;
export type Figure = (typeof figures)[number];
export const figureLabels: Readonly<Record<Figure, string>> = {
  p50Ms: 'p50',
  p95Ms: 'p95',
  p99Ms: 'p99',
  maxMs: 'max',
};

export interface Column {
  /** Names it in the sort. */
  key: string;
  label: string;
  of: 'time' | 'count' | 'errors';
  value: (times: StagesOf) => number | null;
}

const finished: Column = {
  key: 'finished',
  label: 'Finished',
  of: 'count',
  value: (times) => times.finished,
};
/** As a share: what more attempts failed of more is no news. */
const errors: Column = {
  key: 'errors',
  label: 'Errors',
  of: 'errors',
  value: (times) => (times.finished === 0 ? null : times.failed / times.finished),
};

/** Every stage of any tenant, in the order they first come in. */
export function stagesIn(tenants: readonly TenantTimes[]): string[] {
  const named = new Set(tenants.flatMap(({ stages }) => stages.map(({ stage }) => stage)));
  const inner = [...named].filter((stage) => stage !== 'wait' && stage !== 'total');
  return ['wait', ...inner, 'total'].filter((stage) => named.has(stage));
}

/** One stage with all its figures, or with `stage` null one figure of all stages. */
export function columnsFor(stages: readonly string[], stage: string | null, figure: Figure): Column[] {
  const time = (of: string, what: Figure, label: string): Column => ({
    key: `${of} ${what}`,
    label,
    of: 'time',
    value: (times) => times.stages.find((one) => one.stage === of)?.[what] ?? null,
  });
  const times =
    stage === null
      ? stages.map((one) => time(one, figure, stageLabel(one)))
      : figures.map((what) => time(stage, what, figureLabels[what]));
  return [finished, errors, ...times];
}

/** By one column; what is not known comes last either way. */
export function sorted(
  tenants: readonly TenantTimes[],
  column: Column | undefined,
  down: boolean,
): readonly TenantTimes[] {
  if (column === undefined) return tenants;
  return tenants
    .map((tenant) => ({ tenant, value: column.value(tenant) }))
    .sort((a, b) => {
      if (a.value === null || b.value === null) return Number(a.value === null) - Number(b.value === null);
      return down ? b.value - a.value : a.value - b.value;
    })
    .map(({ tenant }) => tenant);
}

/** One row a tenant and stage; durations in ms. The second period's figures follow where there is one. */
export function timingCsv(tenants: readonly TenantTimes[], nameOf: (tenantId: string) => string): string {
  const compared = tenants.some(({ against }) => against !== null);
  const head = ['finished', 'errors', 'count', 'p50_ms', 'p95_ms', 'p99_ms', 'max_ms'];
  const lines = [
    ['tenant_id', 'tenant', 'stage', ...head, ...(compared ? head.map((name) => `before_${name}`) : [])].join(
      ',',
    ),
  ];
  for (const tenant of tenants) {
    for (const stage of stagesIn([tenant])) {
      const cells = [text(tenant.tenantId), text(nameOf(tenant.tenantId)), text(stageLabel(stage))];
      cells.push(...figuresOf(tenant, stage));
      if (compared) cells.push(...figuresOf(tenant.against, stage));
      lines.push(cells.join(','));
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

function figuresOf(times: StagesOf | null, stage: string): string[] {
  const found = times?.stages.find((one) => one.stage === stage);
  const cell = (value: number | null | undefined): string =>
    value == null ? '' : String(Number(value.toPrecision(6)));
  return [
    cell(times?.finished),
    cell(times?.failed),
    cell(found?.count),
    ...figures.map((figure) => cell(found?.[figure])),
  ];
}

/** Names come from the monitored system: one that begins like a formula must stay text in a spreadsheet. */
function text(value: string): string {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
