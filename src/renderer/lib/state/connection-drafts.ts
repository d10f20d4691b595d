// The connections under edit, kept while other views are open.
import type { Backend } from './backend.ts';
import { ConnectionDraft } from './connection-draft.svelte.ts';

export class ConnectionDrafts {
  readonly #backend: Backend;
  readonly #drafts = new Map<string | null, ConnectionDraft>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The draft of a connection; `null` is the new one. */
  open(id: string | null): ConnectionDraft {
    const draft = this.#drafts.get(id) ?? new ConnectionDraft(this.#backend, id);
    this.#drafts.set(id, draft);
    return draft;
  }

  /** Lets go of a draft in which nothing would be lost. */
  close(id: string | null): void {
    const draft = this.#drafts.get(id);
    if (draft === undefined) return;
    draft.stopTest();
    if (!draft.dirty) this.discard(id);
  }

  discard(id: string | null): void {
    this.#drafts.get(id)?.[Symbol.dispose]();
    this.#drafts.delete(id);
  }
}
