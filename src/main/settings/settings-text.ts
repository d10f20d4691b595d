// Settings as text: JSON with comments in, checked settings or every problem with its place out.
import { getNodeValue, parseTree, printParseErrorCode, type Node, type ParseError } from 'jsonc-parser';
import type { z } from 'zod';
import { parseDatabaseUrl } from '../../contract/database-url.ts';
import { HeadwayError } from '../../contract/errors.ts';
import { settingsSchema, type Settings } from '../../contract/settings.ts';
import { nearestNode, showPath, type JsonPath } from './json-path.ts';

interface Problem {
  path: JsonPath;
  /** Where it stands, as an offset into the text; null: found by its path. */
  offset: number | null;
  message: string;
}

const SHOWN = 10;
const secretWords =
  'a secret must not stand in this file; write where it is found: { "env": "NAME" }, { "file": "/path" } or { "stored": "KEY" }';

/**
 * The settings in a text. Comments and trailing commas are allowed.
 * Throws 'settings-invalid' with file, line:column, path and what is expected, for up to ten problems.
 */
export function parseSettings(text: string, fileName: string): Settings {
  return parseText(text, fileName, settingsSchema, expandUrls);
}

/** The same for another file of ours. `expand` changes what was read before it is checked, and says what it cannot. */
export function parseText<S extends z.ZodType>(
  text: string,
  fileName: string,
  schema: S,
  expand: (raw: unknown) => Problem[] = () => [],
): z.infer<S> {
  const errors: ParseError[] = [];
  const tree = parseTree(text.replace(/^\uFEFF/, ' '), errors, { allowTrailingComma: true });
  if (errors.length > 0 || tree === undefined) {
    const problems = errors.map(({ error, offset }) => ({
      path: [],
      offset,
      message: words(printParseErrorCode(error)),
    }));
    throw invalid(text, tree, fileName, problems);
  }
  const problems = [...writtenTwice(tree), ...plainSecrets(tree)];
  const raw: unknown = getNodeValue(tree);
  problems.push(...expand(raw));
  const parsed = schema.safeParse(raw);
  const known = new Set(problems.map((problem) => showPath(problem.path)));
  for (const issue of parsed.error?.issues ?? []) {
    // A plain password, or a field that a broken URL leaves out, has been named in better words.
    const found = problemsOf(issue).filter(({ path }) => ![...known].some((k) => covers(k, showPath(path))));
    problems.push(...found);
  }
  if (problems.length > 0 || !parsed.success) throw invalid(text, tree, fileName, problems);
  return parsed.data;
}

const covers = (known: string, path: string): boolean =>
  path === known || (known.endsWith('.database.url') && path.startsWith(known.slice(0, -'url'.length)));

/** A key written twice: one of the two is not in force, and an edit would change the other. */
function* walk(node: Node, path: JsonPath = []): Generator<{ node: Node; path: JsonPath }> {
  yield { node, path };
  for (const [index, child] of (node.children ?? []).entries()) {
    const [key, value] = child.children ?? [];
    if (node.type === 'array') yield* walk(child, [...path, index]);
    else if (key !== undefined && value !== undefined) yield* walk(value, [...path, String(key.value)]);
  }
}

function writtenTwice(tree: Node): Problem[] {
  const problems: Problem[] = [];
  for (const { node, path } of walk(tree)) {
    if (node.type !== 'object') continue;
    const seen = new Set<string>();
    for (const property of node.children ?? []) {
      const key = String(property.children?.[0]?.value);
      if (seen.has(key)) {
        problems.push({
          path: [...path, key],
          offset: property.offset,
          message: 'is written twice; keep one',
        });
      }
      seen.add(key);
    }
  }
  return problems;
}

function plainSecrets(tree: Node): Problem[] {
  const problems: Problem[] = [];
  for (const { node, path } of walk(tree)) {
    const key = path.at(-1);
    if (node.type === 'string' && (key === 'password' || key === 'passphrase')) {
      problems.push({ path, offset: null, message: secretWords });
    }
  }
  return problems;
}

/** Replaces `url` of each connection's database by the fields it holds, in place. */
function expandUrls(raw: unknown): Problem[] {
  const problems: Problem[] = [];
  const connections = isRecord(raw) && Array.isArray(raw['connections']) ? raw['connections'] : [];
  for (const [index, connection] of connections.entries()) {
    const store = isRecord(connection) && isRecord(connection['store']) ? connection['store'] : null;
    const database: unknown = store?.['database'] ?? (isRecord(connection) ? connection['database'] : null);
    if (!isRecord(database) || typeof database['url'] !== 'string') continue;
    const path = ['connections', index, ...(store === null ? [] : ['store']), 'database', 'url'];
    const problem = (message: string) => problems.push({ path, offset: null, message });
    const type = (store ?? database)['type'];
    const parsed = parseDatabaseUrl(database['url'], type === 'postgres' ? 'postgres' : 'mysql');
    if (!parsed.ok) {
      problem(parsed.error);
      continue;
    }
    const { password, ...fields } = parsed.url;
    if (password !== null) {
      problem(`the URL holds a password. Leave it out, and write beside it "password": { "env": "NAME" }`);
      continue;
    }
    const both = Object.keys(fields).filter((field) => field in database);
    if (both.length > 0) problem(`${both.join(', ')} stands in the URL and beside it; keep one of the two`);
    delete database['url'];
    Object.assign(database, fields);
  }
  return problems;
}

/** A schema issue in words: what is expected where. Values are not repeated, one of them may be a secret. */
function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.filter((key) => typeof key !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      offset: null,
      message: 'unknown key; check its spelling and place',
    }));
  }
  const last = path.at(-1);
  if (last === 'password' || last === 'passphrase') {
    return [
      {
        path,
        offset: null,
        message: 'expected { "env": "NAME" }, { "file": "/path" } or { "stored": "KEY" }',
      },
    ];
  }
  const message = issue.message
    .replace(/^Invalid (input|option): /, '')
    .replace(', received undefined', ', which is missing');
  return [{ path, offset: null, message }];
}

function invalid(
  text: string,
  tree: Node | undefined,
  fileName: string,
  problems: readonly Problem[],
): HeadwayError {
  const placed = problems
    .map(({ path, offset, message }) => ({
      path,
      message,
      at: offset ?? nearestNode(tree, path)?.offset ?? 0,
    }))
    .sort((a, b) => a.at - b.at);
  const lines = placed.slice(0, SHOWN).map(({ at, path, message }) => {
    const place = `${fileName}:${position(text, at)}`;
    return path.length === 0 ? `${place} ${message}` : `${place} ${showPath(path)}: ${message}`;
  });
  if (placed.length > SHOWN) lines.push(`and ${placed.length - SHOWN} more`);
  const first = placed[0];
  return new HeadwayError(
    'settings-invalid',
    lines.length === 1 ? (lines[0] ?? '') : `${fileName} has ${placed.length} problems:\n${lines.join('\n')}`,
    {
      details: { file: fileName, ...(first && { at: position(text, first.at), path: showPath(first.path) }) },
    },
  );
}

/** line:column, both from 1. */
function position(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `${before.split('\n').length}:${offset - before.lastIndexOf('\n')}`;
}

/** "CommaExpected" → "comma expected". */
const words = (code: string): string => code.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
