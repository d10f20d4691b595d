// "Test": the database's steps, then each log host's, reported while they run.
import type { ConnectionTest, TestStep } from '../contract/connection-test.ts';
import { toWireError } from '../contract/errors.ts';
import type { ConnectionSettings } from '../contract/settings.ts';
import type { ReportStep } from './sources/source.ts';

/** Runs the steps of one half of a connection, reporting each; it does not throw for expected failures. */
export type TestPart = (
  connection: ConnectionSettings,
  secrets: Readonly<Record<string, string>>,
  report: ReportStep,
  signal: AbortSignal,
) => Promise<void>;

const TIMEOUT_MS = 60_000;

export class ConnectionTester {
  readonly #parts: TestPart[];

  constructor(parts: TestPart[]) {
    this.#parts = parts;
  }

  /** Starts a test and tells its steps on every change; ends when `signal` aborts. */
  start(
    connection: ConnectionSettings,
    secrets: Readonly<Record<string, string>>,
    emit: (test: ConnectionTest) => void,
    signal: AbortSignal,
  ): ConnectionTest {
    const steps = new Map<string, TestStep>();
    const test = (done: boolean): ConnectionTest => ({ done, steps: [...steps.values()] });
    const report: ReportStep = (step) => {
      steps.set(step.id, step);
      if (!signal.aborted) emit(test(false));
    };
    void this.#run(
      connection,
      secrets,
      report,
      AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    ).then(() => {
      if (!signal.aborted) emit(test(true));
    });
    return test(false);
  }

  async #run(...[connection, secrets, report, signal]: Parameters<TestPart>): Promise<void> {
    for (const [index, part] of this.#parts.entries()) {
      if (signal.aborted) return;
      try {
        await part(connection, secrets, report, signal);
      } catch (error) {
        report({
          id: `part.${index}`,
          title: 'Run the test',
          state: 'failed',
          durationMs: null,
          detail: '',
          error: toWireError(error),
        });
      }
    }
  }
}
