// What the options --config and --data mean, for every command.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { HeadwayError } from '../../contract/errors.ts';
import type { Settings } from '../../contract/settings.ts';
import { dataDirectory } from '../settings/data-directory.ts';
import type { SettingsOrigin } from '../settings/settings-origin.ts';
import { parseSettings } from '../settings/settings-text.ts';

export interface ConfigurationOptions {
  config?: string;
  data?: string;
}

/** The data directory that holds history, secrets and known hosts. */
export function dataDirectoryOf(options: ConfigurationOptions): string {
  return options.data === undefined
    ? dataDirectory(process.env, process.platform, homedir())
    : resolve(options.data);
}

/** A `--config` file must exist; without the option the data directory's settings.json may be missing. */
export async function settingsOrigin(options: ConfigurationOptions): Promise<SettingsOrigin> {
  if (options.config === undefined)
    return { kind: 'file', path: join(dataDirectoryOf(options), 'settings.json') };
  if (options.config === '-')
    return { kind: 'fixed', settings: parseSettings(await text(process.stdin), 'standard input') };
  const path = resolve(options.config);
  // Read once here so that a wrong path or a malformed file ends the command with its cause.
  parseSettings(await readConfig(path), options.config);
  return { kind: 'file', path };
}

/** The settings themselves, for a command that reads them once. */
export async function readSettings(options: ConfigurationOptions): Promise<Settings> {
  const origin = await settingsOrigin(options);
  if (origin.kind === 'fixed') return origin.settings;
  try {
    return parseSettings(await readFile(origin.path, 'utf8'), origin.path);
  } catch (error) {
    if (options.config === undefined && isMissing(error)) return parseSettings('{"version":1}', origin.path);
    throw error;
  }
}

async function readConfig(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new HeadwayError(
      'settings-invalid',
      isMissing(error)
        ? `There is no settings file ${path}. docs/settings.md shows one.`
        : `The settings file ${path} cannot be read: ${String(error)}`,
      { cause: error },
    );
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
