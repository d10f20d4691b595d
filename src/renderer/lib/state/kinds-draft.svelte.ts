// The jobs of this computer under edit. It lives outside the view, so that a look at another view costs nothing typed.
import { toWireError } from '../../../contract/errors.ts';
import type { WireError } from '../../../contract/errors.ts';
import type { EngineSettings } from '../../../contract/job-kinds.ts';
import type { Backend } from './backend.ts';
import type { Problems } from './form-words.ts';
import { newKind } from './kind-form.ts';
import type { KindFields } from './kind-form.ts';
import { engineFieldsOf, readEngineFields } from './kinds-form.ts';
import type { EngineFields } from './kinds-form.ts';

export class KindsDraft {
  /** Null until the settings were read. */
  fields = $state<EngineFields | null>(null);
  base = $state.raw<EngineSettings | null>(null);
  saving = $state(false);
  /** What the backend refused. */
  error = $state.raw<WireError | null>(null);
  /** Every problem shows once somebody asked to save; before, those of fields that were touched. */
  asked = $state(false);
  touched = $state.raw<ReadonlySet<string>>(new Set());
  /** The kind in the form by its key; null: the engine itself. */
  chosenKey = $state<number | null>(null);
  /** What was done last, for the status line. */
  done = $state('');
  readonly form = $derived.by(() =>
    this.fields === null ? { settings: null, problems: {} } : readEngineFields($state.snapshot(this.fields)),
  );
  readonly dirty: boolean = $derived.by(
    () => this.fields !== null && JSON.stringify($state.snapshot(this.fields)) !== this.#clean,
  );
  readonly shown: Problems = $derived.by(() => {
    if (this.asked) return this.form.problems;
    return Object.fromEntries(
      Object.entries(this.form.problems).filter(([path]) =>
        [...this.touched].some((touched) => path === touched || path.startsWith(`${touched}.`)),
      ),
    );
  });
  readonly chosen: { kind: KindFields; index: number } | null = $derived.by(() => {
    const index = this.fields?.kinds.findIndex(({ key }) => key === this.chosenKey) ?? -1;
    const kind = this.fields?.kinds[index];
    return kind === undefined ? null : { kind, index };
  });

  readonly #backend: Backend;
  readonly #stop = new AbortController();
  #clean = $state.raw('');

  constructor(backend: Backend) {
    this.#backend = backend;
    void this.load();
  }

  /** Reads what is saved, over whatever was typed. */
  async load(): Promise<void> {
    const { signal } = this.#stop;
    try {
      this.#take(await this.#backend.call('engine.settings', {}, { signal }));
      this.error = null;
    } catch (error) {
      if (!signal.aborted) this.error = toWireError(error);
    }
  }

  /** A field was typed in or left: its problem may show. */
  touch(path: string): void {
    if (path !== '' && !this.touched.has(path)) this.touched = new Set([...this.touched, path]);
  }

  add(): void {
    if (this.fields === null) return;
    const kind = newKind();
    this.fields.kinds.push(kind);
    this.chosenKey = kind.key;
  }

  /** Takes the kind out of the form; its stored jobs stay, and nobody runs them until it is declared again. */
  remove(key: number): void {
    if (this.fields === null) return;
    const index = this.fields.kinds.findIndex((kind) => kind.key === key);
    if (index < 0) return;
    this.fields.kinds.splice(index, 1);
    // The paths of those behind it have moved up.
    this.touched = new Set();
    this.chosenKey = (this.fields.kinds[index] ?? this.fields.kinds[index - 1])?.key ?? null;
  }

  /** False while something is wrong, or when the backend refused. */
  async save(): Promise<boolean> {
    this.asked = true;
    this.done = '';
    const { settings } = this.form;
    if (settings === null || this.saving) return false;
    this.saving = true;
    this.error = null;
    try {
      await this.#backend.call('engine.saveSettings', settings);
      this.#keep(settings);
      this.done = 'Saved: the engine works by it now';
      return true;
    } catch (error) {
      this.error = toWireError(error);
      return false;
    } finally {
      this.saving = false;
    }
  }

  discard(): void {
    if (this.base !== null) this.#take(this.base);
  }

  #take(settings: EngineSettings): void {
    const name = this.chosen?.kind.kind;
    this.fields = engineFieldsOf(settings);
    this.#keep(settings);
    this.chosenKey = this.fields.kinds.find(({ kind }) => kind === name)?.key ?? null;
  }

  /** What stands in the fields is what is saved. */
  #keep(settings: EngineSettings): void {
    this.base = settings;
    this.#clean = JSON.stringify($state.snapshot(this.fields));
    this.asked = false;
    this.touched = new Set();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}
