// Databases with queues in them: the systems' own migrations where their programs can run here, else tables of their columns.
import { quotePgName } from '../../src/main/sources/postgres-errors.ts';
import { signatures, type Signature } from '../../src/main/sources/detection/signatures.ts';
import { QueueDrafts } from '../../src/main/queue-drafts.ts';
import { databaseDraftSchema, type DatabaseDraft } from '../../src/contract/detection.ts';
import type { SecretStore } from '../../src/main/settings/secrets.ts';

const nothingStored: SecretStore = {
  description: 'nothing',
  get: () => Promise.resolve(null),
  set: () => Promise.resolve(),
  delete: () => Promise.resolve(),
};
export const drafts = (): QueueDrafts => new QueueDrafts(nothingStored);

/** A draft whose password was just typed. */
export function draftOf(
  type: 'postgres' | 'mysql',
  {
    host,
    port,
    user,
    password,
    database,
  }: Record<'host' | 'user' | 'password' | 'database', string> & {
    port: number;
  },
): DatabaseDraft {
  return databaseDraftSchema.parse({
    database: { type, host, port, user, database, password: { stored: 'draft.password' } },
    secrets: { 'draft.password': password },
  });
}

/** Tables with the columns that a reader needs, as River and others in other languages make them. */
export function ddlOf(
  system: Signature['system'],
  schema: string,
  { variant, without = [] }: { variant?: string; without?: string[] } = {},
): string {
  const signature = signatures.find(
    (each) => each.system === system && each.variant === variant && each.database.includes('postgres'),
  );
  if (signature === undefined) throw new Error(`no ${system}`);
  const tables = new Map<string, Set<string>>();
  for (const part of [signature.needed, ...signature.marks.slice(0, 1)])
    for (const [table, columns] of Object.entries(part))
      tables.set(table, new Set([...(tables.get(table) ?? []), ...columns]));
  const quoted = quotePgName(schema);
  const made = [...tables]
    .filter(([table]) => !without.includes(table))
    .map(([table, columns]) => {
      const kept = [...columns].filter((column) => !without.includes(`${table}.${column}`));
      return `CREATE TABLE ${quoted}.${table} (${kept.map((column) => `${quotePgName(column)} text`).join(', ')})`;
    });
  return [`CREATE SCHEMA IF NOT EXISTS ${quoted}`, ...made].join(';\n');
}

/** The table that Headway was made for. */
export const auditedDdl = {
  postgres: (name = 'jobs') => `
    CREATE TABLE ${name} (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, kind text NOT NULL, payload jsonb,
      status text NOT NULL DEFAULT 'queued', attempts int NOT NULL DEFAULT 0, last_error text, result jsonb, batch_id uuid,
      created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now())`,
  mysql: (name = 'jobs') => `
    CREATE TABLE ${name} (
      id char(36) PRIMARY KEY, user_id char(36) NOT NULL, kind varchar(50) NOT NULL, payload json,
      status varchar(20) NOT NULL DEFAULT 'queued', attempts int NOT NULL DEFAULT 0, last_error text, result json,
      batch_id char(36), created_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
      updated_at datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))`,
};
