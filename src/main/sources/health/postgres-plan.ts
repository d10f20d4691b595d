// What a plan of PostgreSQL expects to read, scan by scan.
import { z } from 'zod';
import { unquoted } from './conditions.ts';
import { sqlTokens } from './sql-tokens.ts';

const text = z.string().optional();
/** A node of EXPLAIN (FORMAT JSON, VERBOSE), as far as it is looked at. */
export const planNode = z.object({
  'Node Type': z.string(),
  'Parent Relationship': text,
  Strategy: text,
  Schema: text,
  'Relation Name': text,
  Alias: text,
  'Plan Rows': z.number(),
  Filter: text,
  'Index Cond': text,
  'Recheck Cond': text,
  'Sort Key': z.array(z.string()).optional(),
  get Plans() {
    return z.array(planNode).optional();
  },
});
export type PlanNode = z.infer<typeof planNode>;

/** EXPLAIN's one row. */
export const planRow = z
  .object({ 'QUERY PLAN': z.tuple([z.object({ Plan: planNode })]) })
  .transform((row) => row['QUERY PLAN'][0].Plan);

export interface Scan {
  schema: string;
  table: string;
  alias: string;
  /** What all its rows must fulfil, as the server writes it. */
  conditions: string[];
  /** Rows that fulfil all. */
  matching: number;
  /**
   * What is read before any filter: the whole table, or the entries of an index that fulfil a condition (null: all of them) or that the
   * plan itself counts.
   */
  reads: { what: 'table' } | { what: 'index'; condition: string | null } | { what: 'entries'; rows: number };
  /** How often it is begun, and how much of it is read each time (of 1), because a limit above ends it. */
  loops: number;
  fraction: number;
  /** A limit that ends it, with the columns sorted by first; null in place of columns without an order, empty for one that no index yields. */
  limit: { rows: number; sortedBy: string[] | null } | null;
}

interface Above {
  loops: number;
  fraction: number;
  limit: Scan['limit'];
}

/** The scans of tables in a plan that takes no parallel workers. */
export function scansOf(plan: PlanNode): Scan[] {
  return scans(plan, { loops: 1, fraction: 1, limit: null });
}

function scans(node: PlanNode, above: Above): Scan[] {
  const here = scanOf(node, above);
  return [
    ...(here === null ? [] : [here]),
    ...(node.Plans ?? []).flatMap((child, at) => {
      if (here !== null && /^Bitmap/.test(child['Node Type'])) return [];
      return scans(child, below(node, child, at, above));
    }),
  ];
}

function scanOf(node: PlanNode, above: Above): Scan | null {
  const { Schema: schema = '', 'Relation Name': table, Alias: alias = table } = node;
  const isScan = /^(Seq|Index|Index Only|Bitmap Heap|Sample|Tid|Tid Range) Scan$/.test(node['Node Type']);
  if (!isScan || table === undefined || alias === undefined) return null;
  const condition = node['Index Cond'] ?? null;
  const conditions = [condition, node['Recheck Cond'], node.Filter].filter(
    (each) => typeof each === 'string',
  );
  return { schema, table, alias, conditions, matching: node['Plan Rows'], reads: readsOf(node), ...above };
}

function readsOf(node: PlanNode): Scan['reads'] {
  if (/^(Seq|Sample)/.test(node['Node Type'])) return { what: 'table' };
  if (/^Tid/.test(node['Node Type'])) return { what: 'entries', rows: node['Plan Rows'] };
  if (node['Node Type'] === 'Bitmap Heap Scan') return { what: 'entries', rows: bitmapEntries(node) };
  return { what: 'index', condition: node['Index Cond'] ?? null };
}

function bitmapEntries({ Plans = [] }: PlanNode): number {
  return Plans.filter((child) => child['Parent Relationship'] !== 'InitPlan').reduce(
    (sum, child) =>
      sum + (child['Node Type'] === 'Bitmap Index Scan' ? child['Plan Rows'] : bitmapEntries(child)),
    0,
  );
}

/** Nodes that read all below them before they yield a row. */
const blocks = ({ 'Node Type': type, Strategy: strategy }: PlanNode): boolean =>
  /^(Sort|Hash|SetOp)$/.test(type) || (type === 'Aggregate' && /Hashed|Plain|Mixed/.test(strategy ?? ''));

/** Nodes that hand on the rows of one below as they come, so that a limit above is one of the scan. */
const handsOn = ({ 'Node Type': type }: PlanNode): boolean =>
  /^(LockRows|Subquery Scan|Append|Merge Append|Result|ProjectSet|Limit|Sort|Incremental Sort|Materialize)$/.test(
    type,
  );

function below(node: PlanNode, child: PlanNode, at: number, above: Above): Above {
  const { loops, fraction, limit } = above;
  const type = node['Node Type'];
  const rows = Math.max(1, child['Plan Rows']);
  if (child['Parent Relationship'] === 'InitPlan') return { loops: 1, fraction: 1, limit: null };
  if (child['Parent Relationship'] === 'SubPlan') {
    return { loops: Math.max(1, node['Plan Rows'] * fraction * loops), fraction: 1, limit: null };
  }
  if (type === 'Nested Loop' && child['Parent Relationship'] === 'Inner') {
    const outer = node.Plans?.[0]?.['Plan Rows'] ?? 1;
    return { loops: Math.max(1, outer * fraction * loops), fraction: 1, limit: null };
  }
  if (type === 'Recursive Union' && at === 1) {
    // The planner itself takes the recursion for ten rounds.
    return { loops: loops * Math.max(1, Math.round(node['Plan Rows'] / rows)), fraction: 1, limit: null };
  }
  if (type === 'Limit') {
    const limited = { rows: node['Plan Rows'], sortedBy: null };
    return { loops, fraction: Math.min(fraction, node['Plan Rows'] / rows), limit: limited };
  }
  const passed = handsOn(node) ? limit : null;
  const keys = node['Sort Key'];
  const sorted =
    passed && keys && passed.sortedBy === null ? { ...passed, sortedBy: sortColumns(keys) } : passed;
  return { loops, fraction: blocks(node) ? 1 : fraction, limit: sorted };
}

/** Columns of an order that goes one way; empty for any other. Keys are written as `j.updated_at DESC`. */
function sortColumns(keys: readonly string[]): string[] {
  const parsed = keys.map((key) => {
    const [table, dot, column, ...rest] = sqlTokens(key, 'postgres').filter(({ kind }) => kind !== 'space');
    if (table === undefined || dot?.text !== '.' || column === undefined) return null;
    return { column: unquoted(column.text), way: rest.map(({ text: word }) => word).join(' ') };
  });
  const ways = new Set(parsed.map((key) => key?.way));
  return ways.size > 1 ? [] : parsed.flatMap((key) => (key === null ? [] : [key.column]));
}
