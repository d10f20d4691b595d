import { type Handler, JobError } from '../handler.ts';

/**
 * Stands for jobs that other programs take over HTTP. A headless engine never claims them itself (intake/pull-desk.ts); any
 * other engine has nobody to hand them to, and says so.
 */
export class PullHandler implements Handler {
  readonly kind: string;
  readonly runsIn = 'http';

  constructor(kind: string) {
    this.kind = kind;
  }

  check(): Promise<string> {
    return Promise.resolve(
      'they are taken by other programs, and only `headway worker --http` hands jobs out',
    );
  }

  run(): Promise<never> {
    return Promise.reject(
      new JobError(
        'permanent',
        `jobs of kind "${this.kind}" are taken by other programs: this engine hands none out`,
      ),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
