// A connection under edit: its fields, its test, and saving. It lives outside the view, so that neither a lost line
// nor a look at another view costs what was typed.
import type { TestStep } from '../../../contract/connection-test.ts';
import { toWireError } from '../../../contract/errors.ts';
import type { WireError } from '../../../contract/errors.ts';
import type { ConnectionSettings } from '../../../contract/settings.ts';
import type { Backend } from './backend.ts';
import { databaseTypeIn, emptyFields, fieldsOf, idOf, readFields } from './connection-form.ts';
import { applyUrl, MASK } from './connection-url.ts';
import type { ConnectionFields, FormResult, StoreType } from './connection-form.ts';
import type { Problems } from './form-words.ts';
import { auditedMapping } from './jobs-mapping-form.ts';
import { QueueFinder } from './queue-finder.svelte.ts';
import type { QueueFields } from './queue-form.ts';

export class ConnectionDraft {
  fields = $state<ConnectionFields>(emptyFields());
  url = $state('');
  urlProblem = $state<string | null>(null);
  /** The settings before the change; null for a new connection. */
  base = $state.raw<ConnectionSettings | null>(null);
  loading = $state(false);
  saving = $state(false);
  /** What the backend refused. */
  error = $state.raw<WireError | null>(null);
  /** Problems show once somebody asked to save or test, and in fields that were left. */
  asked = $state(false);
  left = $state.raw<ReadonlySet<string>>(new Set());
  steps = $state.raw<readonly TestStep[]>([]);
  testing = $state(false);
  tested = $state(false);
  /** Whether the fields differ from what they were. */
  readonly dirty: boolean = $derived.by(() => JSON.stringify($state.snapshot(this.fields)) !== this.#clean);

  readonly isNew: boolean;
  readonly finder: QueueFinder;
  readonly #backend: Backend;
  readonly #stop = new AbortController();
  #idTouched = false;
  #clean = $state.raw('');
  #endTest: (() => void) | null = null;

  /** `id` null: a new connection. */
  constructor(backend: Backend, id: string | null) {
    this.#backend = backend;
    this.isNew = id === null;
    this.finder = new QueueFinder(backend, () => this.fields);
    this.#clean = JSON.stringify($state.snapshot(this.fields));
    if (id !== null) void this.#load(id);
  }

  /** What the fields stand for, and what is wrong with them. */
  read(takenIds: readonly string[]): FormResult {
    return readFields($state.snapshot(this.fields), this.base, this.isNew ? takenIds : []);
  }

  /** The problems to show now. */
  shown(problems: Problems): Problems {
    if (this.asked) return problems;
    return Object.fromEntries(Object.entries(problems).filter(([path]) => this.left.has(path)));
  }

  leave(path: string): void {
    this.left = new Set([...this.left, path]);
  }

  setName(name: string): void {
    this.fields.name = name;
    if (this.isNew && !this.#idTouched) this.fields.id = idOf(name);
  }

  setId(id: string): void {
    this.#idTouched = id !== '';
    this.fields.id = id;
  }

  /** Another kind of system, or another database under it: what was as usual there is as usual here. */
  setSystem(change: {
    kind?: ConnectionFields['kind'];
    storeType?: StoreType;
    queue?: Partial<Pick<QueueFields, 'system' | 'databaseType'>>;
  }): void {
    const before = usualOf(this.fields);
    const { queue, ...own } = change;
    Object.assign(this.fields, own);
    Object.assign(this.fields.queue, queue);
    const after = usualOf(this.fields);
    for (const name of ['port', 'database'] as const)
      if (this.fields[name] === before[name]) this.fields[name] = after[name];
  }

  /** Every column as the audited table has it; the table keeps the name that was typed. */
  fillAsAudited(): void {
    const { queue } = this.fields;
    queue.mapping = auditedMapping(queue.mapping.table.trim() === '' ? 'jobs' : queue.mapping.table);
  }

  setUrl(text: string): void {
    this.url = text;
    this.urlProblem = text.trim() === '' ? null : applyUrl(this.fields, text);
    // Once it stands in the fields the password must not go on standing in the open.
    if (this.urlProblem === null) this.url = text.replace(/(\/\/[^/:@]*:)[^@]*@/, `$1${MASK}@`);
  }

  /** Runs the steps of "Test" until they are done; a test under way is stopped. */
  test(form: FormResult): void {
    this.stopTest();
    this.asked = true;
    if (form.connection === null) return;
    this.steps = [];
    this.error = null;
    this.tested = false;
    this.testing = true;
    const take = ({ done, steps }: { done: boolean; steps: TestStep[] }): void => {
      this.steps = steps;
      // An ended test is ended: renewed after a lost line it would run again unasked.
      if (done) {
        this.tested = true;
        this.stopTest();
      }
    };
    this.#endTest = this.#backend.subscribe(
      'connectionTest',
      { connection: form.connection, secrets: form.secrets },
      {
        snapshot: take,
        delta: take,
        error: (error) => {
          this.error = error;
          this.stopTest();
        },
      },
    );
  }

  /** Shows what the connection would, without saving it. */
  async preview(form: FormResult): Promise<void> {
    this.asked = true;
    await this.finder.show(form);
  }

  stopTest(): void {
    this.#endTest?.();
    this.#endTest = null;
    this.testing = false;
  }

  /** Remembers the key that a failed step showed. False when the backend refused; `error` then says why. */
  async trust(step: TestStep): Promise<boolean> {
    const { host, port, fingerprint } = step.error?.details ?? {};
    if (host === undefined || port === undefined || fingerprint === undefined) return false;
    return this.#try(() => this.#backend.call('hostKeys.accept', { host, port: Number(port), fingerprint }));
  }

  async save(form: FormResult): Promise<boolean> {
    this.asked = true;
    const { connection, secrets } = form;
    if (connection === null || this.saving) return false;
    this.saving = true;
    const saved = await this.#try(() => this.#backend.call('connections.save', { connection, secrets }));
    this.saving = false;
    if (saved) this.stopTest();
    return saved;
  }

  async remove(): Promise<boolean> {
    const id = this.base?.id;
    if (id === undefined) return false;
    return this.#try(() => this.#backend.call('connections.remove', { id }));
  }

  async #load(id: string): Promise<void> {
    this.loading = true;
    const { signal } = this.#stop;
    await this.#try(async () => {
      const settings = await this.#backend.call('connections.get', { id }, { signal });
      this.base = settings;
      this.fields = fieldsOf(settings);
      this.#clean = JSON.stringify($state.snapshot(this.fields));
    });
    this.loading = false;
  }

  async #try(work: () => Promise<unknown>): Promise<boolean> {
    try {
      this.error = null;
      await work();
      return true;
    } catch (error) {
      if (!this.#stop.signal.aborted) this.error = toWireError(error);
      return false;
    }
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.stopTest();
    this.finder[Symbol.dispose]();
  }
}

const usualOf = (fields: ConnectionFields): Pick<ConnectionFields, 'port' | 'database'> => ({
  port: databaseTypeIn(fields) === 'postgres' ? '5432' : '3306',
  database: fields.kind === 'postal' ? 'postal' : '',
});
