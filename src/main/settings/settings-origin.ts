// Where the settings come from: a file that can be changed and is watched, or a text that was read once.
import type { HeadwayError } from '../../contract/errors.ts';
import type { Settings } from '../../contract/settings.ts';
import { FixedSettings } from './fixed-settings.ts';
import { SettingsFile, type SettingsListener } from './settings-file.ts';

export type SettingsOrigin = { kind: 'file'; path: string } | { kind: 'fixed'; settings: Settings };

/** Settings in force, and the way to change them. */
export interface OpenSettings extends AsyncDisposable {
  readonly current: Settings;
  /** Why the file is not in force; null when it is. */
  readonly problem: HeadwayError | null;
  update(change: (settings: Settings) => Settings): Promise<unknown>;
}

export function openSettings(origin: SettingsOrigin, listener: SettingsListener): Promise<OpenSettings> {
  return origin.kind === 'file'
    ? SettingsFile.open(origin.path, listener)
    : Promise.resolve(new FixedSettings(origin.settings));
}
