// The settings file in force: read at start, noticed when an editor saves it, changed without losing a comment.
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { HeadwayError } from '../../contract/errors.ts';
import { settingsSchema, type Settings } from '../../contract/settings.ts';
import { ensureDataDirectory } from './data-directory.ts';
import { isMissing, writePrivateFile } from './private-file.ts';
import { editSettingsText } from './settings-edits.ts';
import { parseSettings } from './settings-text.ts';

export interface SettingsListener {
  /** Other settings are in force from now on, through the window or an editor; or a refused file is good again. */
  changed(settings: Settings): void;
  /** The file was changed into something that cannot be used; the settings in force stay. */
  refused(error: HeadwayError): void;
}

const emptyFile = `// Settings of Headway. Comments are kept when Headway changes this file.\n{\n  "version": 1\n}\n`;
const defaultSettings = (): Settings => settingsSchema.parse({ version: 1 });

/** Editors write in several steps; a file is read this long after it was last seen to change. */
const SETTLE_MS = 150;

/**
 * `current` is always valid. When the file is not, `problem` says why, the last good settings (at start: the
 * defaults) stay in force, and changes are refused so that nothing a person wrote is overwritten.
 */
export class SettingsFile implements AsyncDisposable {
  readonly path: string;
  readonly #listener: SettingsListener;
  readonly #watch = () => {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => void this.reload(), SETTLE_MS);
  };
  #current: Settings = defaultSettings();
  #problem: HeadwayError | null = null;
  /** The text in force; null while there is no file. */
  #text: string | null = null;
  #settle: NodeJS.Timeout | undefined;
  /** Reads and writes run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(path: string, listener: SettingsListener) {
    this.path = path;
    this.#listener = listener;
  }

  /**
   * Reads the file (a missing one means the defaults) and watches it until disposed. By stat every `watchEveryMs`:
   * that also sees renames, links and network folders, where change events are lost.
   */
  static async open(path: string, listener: SettingsListener, watchEveryMs = 1000): Promise<SettingsFile> {
    const file = new SettingsFile(path, listener);
    // Before the first read, or a change between the two would go unseen.
    watchFile(path, { interval: watchEveryMs, persistent: false }, file.#watch);
    try {
      const text = await file.#read();
      if (text !== null) file.#current = file.#parse(text);
      file.#text = text;
    } catch (error) {
      file.#problem = expected(error);
    }
    return file;
  }

  get current(): Settings {
    return this.#current;
  }

  /** Why the file on disk is not in force; null when it is. */
  get problem(): HeadwayError | null {
    return this.#problem;
  }

  /** Reads the file again now, as when a window gets the focus. Never rejects: a bad file goes to `refused`. */
  reload(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        const text = await this.#read();
        if (text === this.#text && this.#problem === null) return;
        if (text === null) throw this.#gone();
        this.#accept(text, this.#parse(text));
      } catch (error) {
        const problem = expected(error);
        if (problem.message === this.#problem?.message) return;
        this.#problem = problem;
        this.#listener.refused(problem);
      }
    });
  }

  /**
   * Changes the file to what `change` makes of the settings that stand in it now. Runs again on the fresh text when
   * the file changes in between. Rejects with 'settings-invalid' (the file on disk, or the result, is not valid) or
   * 'storage-failed'.
   */
  update(change: (settings: Settings) => Settings): Promise<Settings> {
    return this.#inTurn(async () => {
      for (let attempt = 0; attempt < 5; attempt++) {
        const onDisk = await this.#read();
        // A file that was removed while its settings are in force is written again.
        const text = onDisk ?? this.#text ?? emptyFile;
        const before = this.#parse(text);
        const after = settingsAfter(change, before);
        if (isDeepStrictEqual(before, after)) return this.#current;
        const edited = editSettingsText(text, before, after);
        if (!isDeepStrictEqual(this.#parse(edited), after)) {
          throw new HeadwayError(
            'internal',
            `The change of ${this.path} did not come out as meant; nothing was written`,
          );
        }
        await ensureDataDirectory(dirname(this.path));
        if (await writePrivateFile(this.path, edited, async () => (await this.#read()) === onDisk)) {
          this.#accept(edited, after);
          return after;
        }
      }
      throw new HeadwayError(
        'storage-failed',
        `${this.path} keeps changing while Headway writes it; try again`,
        {
          retryable: true,
        },
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    unwatchFile(this.path, this.#watch);
    clearTimeout(this.#settle);
    await this.#last;
  }

  #accept(text: string, settings: Settings): void {
    const asBefore = this.#problem === null && isDeepStrictEqual(this.#current, settings);
    this.#text = text;
    this.#problem = null;
    this.#current = settings;
    if (!asBefore) this.#listener.changed(settings);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  #parse(text: string): Settings {
    return parseSettings(text, basename(this.path));
  }

  async #read(): Promise<string | null> {
    try {
      return (await readFile(this.path, 'utf8')).replace(/^\uFEFF/, '');
    } catch (error) {
      if (isMissing(error)) return null;
      throw new HeadwayError('storage-failed', `Cannot read ${this.path}: ${String(error)}`, {
        cause: error,
      });
    }
  }

  #gone(): HeadwayError {
    return new HeadwayError(
      'settings-invalid',
      `${this.path} is gone. The settings in force stay until it is back; a change in the window writes it again.`,
    );
  }
}

/** The changed settings, checked: a caller may have put together what the schema does not allow. */
function settingsAfter(change: (settings: Settings) => Settings, before: Settings): Settings {
  // Through JSON, as the file will be: a key whose value is undefined is a key left out.
  const parsed = settingsSchema.safeParse(JSON.parse(JSON.stringify(change(structuredClone(before)))));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new HeadwayError(
    'settings-invalid',
    `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
    {
      cause: parsed.error,
    },
  );
}

const expected = (error: unknown): HeadwayError =>
  error instanceof HeadwayError
    ? error
    : new HeadwayError('internal', `Internal error while reading the settings: ${String(error)}`, {
        cause: error,
      });
