// Which queue systems stand in the tables that a catalogue showed. Pure.
import type { DetectedQueue } from '../../../contract/detection.ts';
import { queueSystems, type DatabaseType } from '../../../contract/queue-systems.ts';
import type { FoundTable } from './found-table.ts';
import { signaturesOf, type Signature } from './signatures.ts';

/** A system in one schema, before its version is read. */
export interface Recognised {
  signature: Signature;
  schema: string | null;
  tables: ReadonlyMap<string, FoundTable>;
  problems: string[];
}

export function recognise(found: readonly FoundTable[], database: DatabaseType): Recognised[] {
  const schemas = new Map<string | null, Map<string, FoundTable>>();
  for (const table of found) {
    const tables = schemas.get(table.schema) ?? new Map<string, FoundTable>();
    schemas.set(table.schema, tables.set(table.name, table));
  }
  const order = signaturesOf(database);
  const recognised = [...schemas].flatMap(([schema, tables]) =>
    order
      .filter((signature) => stands(signature, schema, tables))
      // Of two forms of one system that share a mark, the one that is whole.
      .filter((each, _at, all) => {
        const isWhole = ({ needed }: Signature) => missingOf(tables, needed).size === 0;
        return isWhole(each) || !all.some((other) => other.system === each.system && isWhole(other));
      })
      .map((signature) => ({ signature, schema, tables, problems: problemsOf(signature, schema, tables) })),
  );
  // The sort is stable: schemas keep their order.
  return recognised.sort((a, b) => order.indexOf(a.signature) - order.indexOf(b.signature));
}

/** Whether anything of it is there: what only it has, or tables by its own names. */
function stands(
  { system, variant, marks, needed, prefix, unless }: Signature,
  schema: string | null,
  tables: ReadonlyMap<string, FoundTable>,
): boolean {
  if (unless !== undefined && tables.has(unless)) return false;
  if (marks.some((mark) => missingOf(tables, mark).size === 0)) return true;
  if (variant !== undefined || !Object.keys(needed).some((name) => tables.has(name))) return false;
  return prefix !== undefined || (schema !== null && schema === schemaOf(system));
}

/** The schema that a system has to itself unless told otherwise. */
function schemaOf(system: Signature['system']): string | null {
  if (system === 'engine') return 'headway_engine';
  const schema = system === 'postal' ? null : queueSystems[system].schema;
  return schema === 'public' ? null : schema;
}

/** Missing columns by table; null for a table that is not there at all. */
function missingOf(
  tables: ReadonlyMap<string, FoundTable>,
  needed: Signature['needed'],
): Map<string, string[] | null> {
  const missing = new Map<string, string[] | null>();
  for (const [name, columns] of Object.entries(needed)) {
    const known = tables.get(name)?.columns.map((column) => column.name);
    const absent = known === undefined ? null : columns.filter((column) => !known.includes(column));
    if (absent === null || absent.length > 0) missing.set(name, absent);
  }
  return missing;
}

function problemsOf(
  { name, system, needed, problem }: Signature,
  schema: string | null,
  tables: ReadonlyMap<string, FoundTable>,
): string[] {
  if (problem !== undefined) return [problem];
  const missing = [...missingOf(tables, needed)];
  const absent = missing.flatMap(([table, columns]) => (columns === null ? [table] : []));
  const partial = missing.flatMap(([table, columns]) =>
    columns === null ? [] : columns.map((column) => `${table}.${column}`),
  );
  const used = Object.keys(needed).flatMap((table) => tables.get(table) ?? []);
  const views = used.filter(({ kind }) => kind !== 'table').map(({ name: table }) => table);
  const unreadable = used.flatMap((table) => {
    const columns = table.columns.filter(
      (column) => !column.readable && (needed[table.name] ?? []).includes(column.name),
    );
    if (columns.length === 0) return [];
    const isWhole = table.columns.every((column) => !column.readable);
    return isWhole ? [table.name] : columns.map((column) => `${table.name}.${column.name}`);
  });
  const hidden = used.filter(({ hidesRows }) => hidesRows).map(({ name: table }) => table);
  return [
    ...(absent.length > 0
      ? [
          `${tablesWord(absent)} ${absent.join(', ')} ${absent.length === 1 ? 'is' : 'are'} not there: ${name} is half migrated, half removed, or of a version that Headway does not know.`,
        ]
      : []),
    ...(partial.length > 0
      ? [
          `${partial.length === 1 ? 'Column' : 'Columns'} ${partial.join(', ')} ${partial.length === 1 ? 'is' : 'are'} not there: finish ${name}'s migrations.`,
        ]
      : []),
    ...(views.length > 0
      ? [
          `${views.join(', ')} ${views.length === 1 ? 'is a view' : 'are views'} and not ${name}'s own ${tablesWord(views).toLowerCase()}.`,
        ]
      : []),
    ...(unreadable.length > 0 ? [`This account may not read ${unreadable.join(', ')}.`] : []),
    ...(hidden.length > 0
      ? [`Row-level security hides rows of ${hidden.join(', ')} from this account.`]
      : []),
    ...(system === 'engine' && schema !== null && schema !== 'headway_engine'
      ? [`It lies in the schema ${schema}; a connection reads headway_engine alone.`]
      : []),
  ];
}

const tablesWord = (names: readonly string[]): string => (names.length === 1 ? 'Table' : 'Tables');

/** What the version adds: too old, newer than is known, or a table that it should have. */
function versionProblems({ signature, tables }: Recognised, read: number | null): string[] {
  const { version, name, since = {} } = signature;
  if (read === null || version === null) return [];
  const { oldest, newest } = version;
  const absent = Object.entries(since).filter(([table, from]) => read >= from && !tables.has(table));
  return [
    ...(oldest !== undefined && read < oldest
      ? [`Version ${read} is older than ${oldest}, the first that Headway reads. Update ${name}.`]
      : []),
    ...(newest !== undefined && read > newest
      ? [
          `Version ${read} is newer than ${newest}, the last that Headway knows: check the numbers, and look for a newer Headway.`,
        ]
      : []),
    ...absent.map(
      ([table, from]) =>
        `Table ${table} is not there, which ${name} has since version ${from}: finish its migrations.`,
    ),
  ];
}

/** "migration 6" */
function versionText({ version, variant }: Signature, read: number | null): string | null {
  const parts = [variant, read === null ? undefined : `${version?.word ?? 'version'} ${read}`];
  return parts.filter((part) => part !== undefined).join(', ') || null;
}

export function detected(recognised: Recognised, version: number | null): DetectedQueue {
  const { signature, schema, problems } = recognised;
  return {
    system: signature.system,
    name: signature.name,
    schema,
    table: null,
    version: versionText(signature, version),
    problems: [...problems, ...versionProblems(recognised, version)],
  };
}

/** Tables that belong to one of the systems, and are no queue of their own. */
export const belongsTo = (recognised: readonly Recognised[], table: FoundTable): boolean =>
  recognised.some(
    ({ signature, schema }) =>
      schema === table.schema &&
      (table.name in signature.needed ||
        (signature.alsoOwn ?? []).includes(table.name) ||
        (signature.ownsSchema && schema !== null && schema !== 'public') ||
        (signature.prefix !== undefined && table.name.startsWith(signature.prefix))),
  );
