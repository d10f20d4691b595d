// What an index would take: its size and what it costs the writers, in words.

/** An entry's header and its place on the page (PostgreSQL: IndexTupleData and ItemIdData); pages are left a tenth empty. */
const ENTRY_OVERHEAD = 12;
const FILL = 0.9;

/**
 * About how large a B-tree of so many entries is, in bytes. Keys are rounded up to 8 bytes, as PostgreSQL does. Where many
 * entries have the same key it is smaller: PostgreSQL stores such a key once.
 */
export function btreeBytes(entries: number, keyBytes: number): number {
  return Math.round((entries * (ENTRY_OVERHEAD + Math.ceil(keyBytes / 8) * 8)) / FILL);
}

/** What every write pays, and the building. */
export function writeCost(
  columns: readonly string[],
  { partial, rows }: { partial: boolean; rows: number },
  building: string,
): string {
  const which = partial ? 'Each row that fulfils its condition' : 'Each new row';
  const more = columns.length === 1 ? columns[0] : `${columns.slice(0, -1).join(', ')} or ${columns.at(-1)}`;
  return `${which}, and each change of ${more ?? ''}, writes an entry more. ${building} reads all ${rows.toLocaleString('en-US')} rows once.`;
}
