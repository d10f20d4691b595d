// Secrets that kinds name, asked of the main loop: only there can the system's keyring be read.
import { HeadwayError, type WireError } from '../../contract/errors.ts';
import type { SecretRef } from '../../contract/secret-ref.ts';

export class LocalEngineSecrets {
  readonly #ask: (question: number, ref: SecretRef, what: string) => void;
  readonly #waiting = new Map<number, { resolve(value: string): void; reject(error: Error): void }>();
  #questions = 0;

  constructor(ask: (question: number, ref: SecretRef, what: string) => void) {
    this.#ask = ask;
  }

  /** The value of a secret. Rejects with `secret-missing`, saying how to set it. */
  read = (ref: SecretRef, what: string): Promise<string> => {
    const question = this.#questions++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(question, { resolve, reject });
      this.#ask(question, ref, what);
    });
  };

  answered(question: number, answer: { value: string } | { error: WireError }): void {
    const waiting = this.#waiting.get(question);
    this.#waiting.delete(question);
    if ('value' in answer) waiting?.resolve(answer.value);
    else waiting?.reject(new HeadwayError(answer.error.code, answer.error.message));
  }
}
