// What the tests of the engines' thread share: a host in a folder of its own.
import type { EngineSettings } from '../../src/contract/job-kinds.ts';
import { engineSettingsSchema } from '../../src/contract/job-kinds.ts';
import { HeadwayError } from '../../src/contract/errors.ts';
import { EngineHost } from '../../src/main/engine/engine-host.ts';
import type { LocalSettings } from '../../src/main/engine/engine-messages.ts';

/** `settings` as they would stand in the settings file; relative files start at `folder`. */
export function localSettings(folder: string, settings: object = {}): LocalSettings {
  const engine: EngineSettings = engineSettingsSchema.parse(settings);
  return { engine, baseDirectory: folder };
}

export function hostOn(
  folder: string,
  { settings = {}, secrets = {} }: { settings?: object; secrets?: Record<string, string> } = {},
): EngineHost {
  return new EngineHost({
    dataDirectory: folder,
    local: localSettings(folder, settings),
    secret: (ref, what) => {
      const value = 'stored' in ref ? secrets[ref.stored] : undefined;
      return value === undefined
        ? Promise.reject(new HeadwayError('secret-missing', `No value for ${what}: enter it in the form.`))
        : Promise.resolve(value);
    },
  });
}
