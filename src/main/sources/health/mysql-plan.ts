// What a plan of MySQL or MariaDB expects to read, table by table.
import { z } from 'zod';
import { unquoted } from './conditions.ts';
import { sqlTokens } from './sql-tokens.ts';

const access = z.object({
  table_name: z.string(),
  access_type: z.string().optional(),
  key: z.string().optional(),
  /** MariaDB's word, and MySQL's. */
  rows: z.number().optional(),
  rows_examined_per_scan: z.number().optional(),
  /** Percent of them that fulfil the conditions; MySQL writes a text. */
  filtered: z.coerce.number().optional(),
  attached_condition: z.string().optional(),
  index_condition: z.string().optional(),
});

export interface TableRead {
  /** What the statement calls it. */
  alias: string;
  /** Rows each time it is begun, by the optimiser's estimate, before filters that no index serves. */
  rows: number;
  /** How often it is begun: once for each row of the tables before it. */
  loops: number;
  conditions: string[];
  /** Whether an index is searched already, by conditions that are not among the others. */
  usesKey: boolean;
  /** Columns of a sort of its rows; null without one, empty where it cannot be told. */
  sortedBy: string[] | null;
}

interface Above {
  loops: number;
  sortedBy: string[] | null;
}

/** The tables in EXPLAIN FORMAT=JSON, as both systems nest it; temporary ones are left out, what fills them is not. */
export function tableReads(plan: unknown): TableRead[] {
  const reads: TableRead[] = [];
  walk(plan, { loops: 1, sortedBy: null }, reads);
  return reads;
}

/** Returns how many rows come out, for those that are begun for each of them. */
function walk(node: unknown, above: Above, reads: TableRead[]): number {
  if (Array.isArray(node)) {
    // Tables of one join are begun one within the other.
    let loops = above.loops;
    for (const part of node) loops *= walk(part, { ...above, loops }, reads);
    return loops / above.loops;
  }
  if (typeof node !== 'object' || node === null) return 1;
  let out = 1;
  const here = { ...above, sortedBy: sortColumns(node) ?? above.sortedBy };
  for (const [name, part] of Object.entries(node)) {
    if (name === 'table') out *= tableRead(part, here, reads);
    // Parts that stand beside one another, not within: each part of a union is begun once.
    else if (/^(query_specifications|.*subqueries)$/.test(name) && Array.isArray(part)) {
      for (const each of part)
        walk(
          each,
          { loops: above.loops * (name === 'query_specifications' ? 1 : out), sortedBy: null },
          reads,
        );
    } else if (typeof part === 'object') out *= walk(part, here, reads);
  }
  return out;
}

function tableRead(node: unknown, { loops, sortedBy }: Above, reads: TableRead[]): number {
  const parsed = access.safeParse(node);
  if (!parsed.success) return 1;
  const { table_name: alias, access_type: type = 'ALL', attached_condition, index_condition } = parsed.data;
  const rows = parsed.data.rows ?? parsed.data.rows_examined_per_scan ?? 0;
  const below = walk(
    { ...Object(node), table_name: undefined } as unknown,
    { loops: 1, sortedBy: null },
    reads,
  );
  // "<derived2>" is made of what stands below it.
  if (alias.startsWith('<')) return Math.max(1, rows, below);
  reads.push({
    ...{ alias, rows, loops, sortedBy },
    conditions: [attached_condition, index_condition].filter((text) => text !== undefined),
    usesKey: !['ALL', 'index'].includes(type),
  });
  return Math.max(1, (rows * (parsed.data.filtered ?? 100)) / 100);
}

/** MariaDB names the columns, as `x.p desc`; MySQL says only that it sorts. */
function sortColumns(node: object): string[] | null {
  if ('using_filesort' in node && node.using_filesort === true) return [];
  if (!('sort_key' in node) || typeof node.sort_key !== 'string') return null;
  const parts = node.sort_key
    .split(',')
    .map((key) => sqlTokens(key, 'mysql').filter(({ kind }) => kind !== 'space'));
  const ways = new Set(parts.map((tokens) => /desc/i.test(tokens.at(-1)?.text ?? '')));
  if (ways.size > 1) return [];
  return parts.map((tokens) => {
    const dot = tokens.findLastIndex(({ text }) => text === '.');
    return unquoted(tokens[dot + 1]?.text ?? '');
  });
}
