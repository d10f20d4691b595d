// Whether a declared program can be started, and in words why not: before it is used, and after it could not be.
import { constants, type Stats } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { delimiter, resolve, sep } from 'node:path';

const SHEBANG_BYTES = 256;

/** Null when the program is there and may be run; else what is wrong, named. */
export async function checkProgram(
  command: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<string | null> {
  const folder = await statOf(cwd);
  if (!folder) return `its working directory ${cwd} does not exist`;
  if (!folder.isDirectory()) return `its working directory ${cwd} is not a directory`;
  // Windows adds endings of its own and asks the registry: only trying tells.
  if (process.platform === 'win32') return null;
  const name = command[0] ?? '';
  if (name === '') return 'it names no program';
  // As the system does: a name with a slash is a path from the working directory, any other is looked for in PATH.
  const places = name.includes(sep)
    ? [resolve(cwd, name)]
    : searchPath(env).map((place) => resolve(cwd, place, name));
  let refused: string | null = null;
  for (const place of places) {
    const problem = await problemOf(place);
    if (problem === null) return null;
    if (problem !== '') refused ??= problem;
  }
  if (refused !== null) return refused;
  return name.includes(sep)
    ? `there is no program ${places[0] ?? name}`
    : `there is no program "${name}" in its PATH (${env['PATH'] ?? 'not set'})`;
}

/** Why the system refused to start a program. */
export async function whyUnstartable(
  error: NodeJS.ErrnoException,
  command: readonly string[],
  cwd: string,
  env: Record<string, string>,
): Promise<string> {
  const problem = await checkProgram(command, cwd, env);
  if (problem !== null) return problem;
  const name = command[0] ?? '';
  if (error.code === 'E2BIG')
    return `"${name}" could not be started: its arguments and environment are too long`;
  return `"${name}" could not be started: ${error.code ?? error.message}`;
}

const searchPath = (env: Record<string, string>): string[] =>
  (env['PATH'] ?? '/usr/bin:/bin').split(delimiter).map((place) => (place === '' ? '.' : place));

/** Null when it can be run, '' when nothing is there. */
async function problemOf(file: string): Promise<string | null> {
  const found = await statOf(file);
  if (!found) return '';
  if (!found.isFile()) return `${file} is no program but ${found.isDirectory() ? 'a directory' : 'no file'}`;
  try {
    await access(file, constants.X_OK);
  } catch {
    return `${file} is not executable for this user (chmod +x)`;
  }
  const interpreter = await interpreterOf(file);
  if (interpreter !== null && !(await statOf(interpreter)))
    return `${file} asks for ${interpreter} in its first line, and there is none`;
  return null;
}

/** What the first line of a script asks for; null where there is no such line, or it cannot be read. */
async function interpreterOf(file: string): Promise<string | null> {
  try {
    await using handle = await open(file);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SHEBANG_BYTES), 0, SHEBANG_BYTES, 0);
    return /^#![ \t]*(\/\S+)/.exec(buffer.toString('utf8', 0, bytesRead))?.[1] ?? null;
  } catch {
    return null;
  }
}

const statOf = (path: string): Promise<Stats | null> => stat(path).catch(() => null);
