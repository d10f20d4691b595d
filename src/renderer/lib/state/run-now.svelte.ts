// One job of a kind enqueued by hand.
import { toWireError } from '../../../contract/errors.ts';
import type { Backend } from './backend.ts';

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export class RunNow {
  tenantId = $state('test');
  payload = $state('{}');
  sending = $state(false);
  problem = $state<string | null>(null);
  /** The job that came of it last. */
  jobId = $state<number | null>(null);
  /** What is wrong with the payload, as it is typed. */
  readonly payloadProblem: string | null = $derived.by(() => {
    try {
      JSON.parse(this.payload);
      return null;
    } catch (error) {
      return `Not JSON: ${error instanceof Error ? error.message : String(error)}`;
    }
  });
  readonly #backend: Backend;
  readonly #connectionId: string;

  constructor(backend: Backend, connectionId: string) {
    this.#backend = backend;
    this.#connectionId = connectionId;
  }

  async send(kind: string): Promise<void> {
    if (this.sending || this.payloadProblem !== null || this.tenantId.trim() === '') return;
    this.sending = true;
    this.problem = null;
    this.jobId = null;
    try {
      const { id } = await this.#backend.call('engine.enqueue', {
        connectionId: this.#connectionId,
        kind,
        tenantId: this.tenantId.trim(),
        // It was just parsed: what JSON.parse answers is JSON.
        payload: JSON.parse(this.payload) as Json,
      });
      this.jobId = id;
    } catch (error) {
      this.problem = toWireError(error).message;
    } finally {
      this.sending = false;
    }
  }
}
