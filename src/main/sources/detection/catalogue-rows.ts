// The shapes of the rows that the catalogue's statements yield, parsed where they arrive.
import { z } from 'zod';

const jsonArray = <Item extends z.ZodType>(item: Item) =>
  z
    .string()
    .nullable()
    .transform((json): unknown => (json === null ? [] : JSON.parse(json)))
    .pipe(z.array(item));

export const postgresTableRow = z.object({
  schema: z.string(),
  name: z.string(),
  kind: z.string(),
  comment: z.string().nullable(),
  hides_rows: z.boolean(),
  readable: z.boolean(),
  columns: jsonArray(z.object({ name: z.string(), type: z.string(), readable: z.boolean() })),
});
export const mysqlTableRow = z.object({
  name: z.string(),
  columns: jsonArray(
    z.tuple([z.string(), z.string(), z.union([z.boolean(), z.number().transform((value) => value !== 0)])]),
  ),
});
export const namedRow = z.object({ name: z.string() });
export const versionRow = z.object({
  version: z.union([z.number(), z.string().transform(Number)]).nullable(),
});
/** SHOW GRANTS names its one column after the account. */
export const grantRow = z.record(z.string(), z.string());
export const placeRow = z.object({ database_name: z.string(), table_name: z.string() });

export const postgresColumnRow = z.object({
  name: z.string(),
  type: z.string(),
  nullable: z.boolean(),
  default_value: z.string().nullable(),
  comment: z.string().nullable(),
  labels: jsonArray(z.string()),
  checks: jsonArray(z.string()),
  in_key: z.boolean(),
});
export const relationRow = z.object({
  oid: z.string(),
  kind: z.string(),
  schema: z.string(),
  name: z.string(),
  role: z.string(),
  readable: z.boolean(),
});
export const indexRow = z.object({ first: z.string().nullable() });
export const stateRow = z.object({
  state: z.string(),
  attempts: z.union([z.number(), z.string().transform(Number)]).nullable(),
});

export const mysqlColumnRow = z.object({
  name: z.string(),
  type: z.string(),
  nullable: z.number(),
  default_value: z.string().nullable(),
  comment: z.string(),
  in_key: z.number(),
});
export const mysqlRelationRow = z.object({ kind: z.string() });
