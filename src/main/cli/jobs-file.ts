import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';
import { type EngineSettings, engineSettingsSchema } from '../../contract/job-kinds.ts';
import { parseText } from '../settings/settings-text.ts';

export interface JobsFile {
  settings: EngineSettings;
  /** Absolute: relative paths in the file start here. */
  folder: string;
}

/** The file that declares kinds, tenants and workers. `settings-invalid` with file, line, column and path of each problem. */
export async function readJobsFile(path: string): Promise<JobsFile> {
  const file = resolve(path);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new HeadwayError(
      'settings-invalid',
      isMissing
        ? `There is no jobs file ${file}. docs/engine.md shows one.`
        : `The jobs file ${file} cannot be read: ${String(error)}`,
      { cause: error },
    );
  }
  return { settings: parseText(text, path, engineSettingsSchema), folder: dirname(file) };
}
