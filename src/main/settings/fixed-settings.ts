// Settings read once, from standard input: in force until the end, and nothing to write a change to.
import { HeadwayError } from '../../contract/errors.ts';
import type { Settings } from '../../contract/settings.ts';

export class FixedSettings implements AsyncDisposable {
  readonly current: Settings;
  readonly problem = null;

  constructor(settings: Settings) {
    this.current = settings;
  }

  /** Always rejects with `settings-invalid`, which says where to put the change instead. */
  update(_change: (settings: Settings) => Settings): Promise<never> {
    return Promise.reject(
      new HeadwayError(
        'settings-invalid',
        'These settings came from standard input and cannot be changed here. Start with --config FILE to keep changes.',
      ),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
