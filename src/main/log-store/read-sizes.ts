// The timing records of a range, newest first, into the table of sizes.
import type { StoredLine, TimingSizes } from '../../contract/log-search.ts';
import { BlockScan } from './block-scan.ts';
import { blocksOf, openSegment } from './read-segment.ts';
import { planSearch } from './search-plan.ts';
import { mayMatch } from './search-segment.ts';
import type { SizesLook } from './search-messages.ts';
import { StoredText } from './stored-text.ts';
import { SizeTable } from './timing-sizes.ts';

/** What is left when `stopped` is of no use to anybody. Throws what the disk says. */
export function readSizes(look: SizesLook, stopped: () => boolean): TimingSizes {
  const { place, stage } = look;
  const table = new SizeTable<StoredLine>();
  let isWhole = true;
  // A record has a status, whichever; a quote cannot stand in a filter, nor need an id with one be told apart here.
  const plan = planSearch(tenantFilter(look.tenantId), []);
  const scan = new BlockScan(plan, place.sources, look);
  for (const segment of look.segments.toReversed()) {
    using file = openSegment(place.folder, segment);
    if (file === null) continue;
    for (const block of blocksOf(file, place.folder, segment, true).reverse()) {
      if (stopped()) return { ...table.result(), isWhole: false, slowest: table.slowest };
      if (!mayMatch(plan, block, look)) continue;
      const bytes = Buffer.allocUnsafe(block.bytes);
      if (file.read(bytes, block.offset) < bytes.length) break;
      const records: { record: StoredText; offset: number }[] = [];
      scan.scan(bytes, block.index, stopped, ({ offset, end }) => {
        const record = StoredText.of(
          bytes.toString('latin1', offset, end),
          0,
          end - offset,
          bytes,
          offset,
          place.sources,
        );
        if (record !== null) records.push({ record, offset });
      });
      for (const { record, offset } of records.reverse()) {
        const { timing } = record;
        if (timing?.sizeBytes == null) continue;
        if (look.tenantId !== null && timing.tenantId !== look.tenantId) continue;
        const ms = stage === 'total' ? timing.totalMs : timing.stages[stage];
        if (ms === undefined) continue;
        if (table.isFull) isWhole = false;
        else table.add(timing.sizeBytes, ms, record.line(segment.number, block.offset + offset));
      }
      if (!isWhole) return { ...table.result(), isWhole, slowest: table.slowest };
    }
  }
  return { ...table.result(), isWhole, slowest: table.slowest };
}

function tenantFilter(tenantId: string | null): string {
  const tagged = '"[TIMING]"';
  return tenantId === null || tenantId === '' || /["\s]/.test(tenantId)
    ? tagged
    : `${tagged} tenant="${tenantId}"`;
}
