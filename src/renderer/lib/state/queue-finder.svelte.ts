// What a form can find out before there is a connection: the queues of its database, a mapping for a table, and what it would show.
import type { DetectedQueue, Detection, MappingProposal, QueuePreview } from '../../../contract/detection.ts';
import { queueSystems } from '../../../contract/queue-systems.ts';
import { Asked } from './asked.svelte.ts';
import type { Backend } from './backend.ts';
import type { ConnectionFields, FormResult } from './connection-form.ts';
import { databaseDraftOf, kindOf, useQueue } from './database-draft.ts';
import { mappingFieldsOf, type MappingFields } from './jobs-mapping-form.ts';

export class QueueFinder implements Disposable {
  readonly detection = new Asked<Detection>();
  readonly proposal = new Asked<MappingProposal>();
  readonly preview = new Asked<QueuePreview>();
  /** The fields as they were proposed. */
  #proposed = $state.raw<MappingFields | null>(null);
  readonly #backend: Backend;
  readonly #fields: () => ConnectionFields;

  constructor(backend: Backend, fields: () => ConnectionFields) {
    this.#backend = backend;
    this.#fields = fields;
  }

  /** Whether host, user and database are there. */
  get ready(): boolean {
    return databaseDraftOf(this.#fields()) !== null;
  }

  /** What was found is found in the database that the fields still name. */
  get isOfThisDatabase(): boolean {
    return this.detection.about !== null && this.detection.about === this.#place();
  }

  async detect(): Promise<void> {
    const draft = databaseDraftOf(this.#fields());
    if (draft === null) return;
    await this.detection.ask(this.#place(), (signal) =>
      this.#backend.call('queue.detect', draft, { signal }),
    );
  }

  /** A connection that is made stays of its kind. */
  mayUse(queue: DetectedQueue, isNew: boolean): boolean {
    return isNew || kindOf(queue) === this.#fields().kind;
  }

  isUsed({ system, schema, table }: DetectedQueue): boolean {
    const { kind, queue } = this.#fields();
    if (system === 'postal' || system === 'engine') return kind === system;
    if (kind !== 'queue' || queue.system !== system) return false;
    if (system === 'jobs-table')
      return queue.mapping.table === (schema === null ? table : `${schema}.${table}`);
    return schema === null || (queue.schema.trim() || queueSystems[system].schema) === schema;
  }

  /** Turns the form to what was found; a table's columns are proposed at once. */
  async use(queue: DetectedQueue): Promise<void> {
    const place = this.isOfThisDatabase;
    useQueue(this.#fields(), queue);
    // The same database is another one's in the eyes of the form: the list stays for a second thought.
    if (place) this.detection.about = this.#place();
    this.preview.forget();
    if (queue.system === 'jobs-table') await this.propose();
    else this.#forgetProposal();
  }

  async propose(): Promise<void> {
    const fields = this.#fields();
    const draft = databaseDraftOf(fields);
    const table = fields.queue.mapping.table.trim();
    if (draft === null || table === '') return;
    const proposal = await this.proposal.ask(table, (signal) =>
      this.#backend.call('queue.proposeMapping', { ...draft, table }, { signal }),
    );
    if (proposal === null) return;
    const proposed = mappingFieldsOf(proposal.mapping);
    this.#proposed = proposed;
    this.#fields().queue.mapping = { ...proposed, states: { ...proposed.states } };
  }

  /** Why a column was proposed, as long as the field holds it; by the mapping's field. */
  reason(path: string): string | undefined {
    const reason = this.proposal.answer?.reasons[path];
    const proposed = this.#proposed;
    if (reason === undefined || proposed === null) return undefined;
    return valueAt(proposed, path) === valueAt(this.#fields().queue.mapping, path) ? reason : undefined;
  }

  /** Doubts belong to the table that was looked at. */
  get doubts(): readonly string[] {
    const isOfThisTable = this.proposal.about === this.#fields().queue.mapping.table.trim();
    return isOfThisTable ? (this.proposal.answer?.doubts ?? []) : [];
  }

  async show({ connection, secrets }: FormResult): Promise<void> {
    if (connection === null) return;
    await this.preview.ask(JSON.stringify(connection), (signal) =>
      this.#backend.call('queue.preview', { connection, secrets }, { signal }),
    );
  }

  stop(): void {
    for (const asked of [this.detection, this.proposal, this.preview]) asked.stop();
  }

  #forgetProposal(): void {
    this.proposal.forget();
    this.#proposed = null;
  }

  #place(): string {
    const draft = databaseDraftOf(this.#fields());
    if (draft === null) return '';
    const { host, port, user, database } = draft.database;
    return JSON.stringify([draft.database.type, host, port, user, database]);
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

function valueAt(fields: MappingFields, path: string): string | undefined {
  const [name = '', state = ''] = path.split('.');
  if (name === 'states') return (fields.states as Record<string, string>)[state];
  return (fields as unknown as Record<string, string>)[name];
}
