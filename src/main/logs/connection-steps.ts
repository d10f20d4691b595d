// The log half of "Test": every step of reaching each log host and each of its inputs, with result and time.
import { HeadwayError, toWireError } from '../../contract/errors.ts';
import type { TestStep } from '../../contract/connection-test.ts';
import type { LogHostSettings, LogInput } from '../../contract/settings.ts';
import { dockerError } from './docker-input.ts';
import { groupKind } from './group-kinds.ts';
import type { HostLink } from './host-link.ts';
import { MAX_MEMBERS } from './input-group.ts';
import { journalError } from './journal-input.ts';
import { kubernetesError } from './kubernetes-input.ts';
import { LocalLink } from './local-link.ts';
import { hostLabel, inputName } from './log-input.ts';
import { runToEnd, type RemoteEnd } from './remote-run.ts';
import { phases, SshConnection, type Phase, type SshDeps } from './ssh-connection.ts';
import { exitCode } from './remote-script.ts';
import { probeInput } from './probe-command.ts';

type Report = (step: TestStep) => void;
type Found = Pick<TestStep, 'state' | 'detail' | 'error'>;

/**
 * Tests all hosts at once and reports every step when it is planned, begins and ends; the last report of an id
 * counts. Expected failures are steps, never exceptions. Ids: `log.0.resolve`, `.connect`, `.host-key`,
 * `.authenticate`, `.input.0`.
 */
export async function testLogHosts(
  hosts: LogHostSettings[],
  deps: SshDeps,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(hosts.map((host, index) => testLogHost(`log.${index}`, host, deps, report, signal)));
}

async function testLogHost(
  prefix: string,
  settings: LogHostSettings,
  deps: SshDeps,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const where = hostLabel(settings);
  const titles: Record<Phase, string> = {
    resolve: `Resolve ${settings.host}`,
    connect: `Connect to ${settings.host}:${settings.port}`,
    'host-key': `Check the host key of ${settings.host}`,
    authenticate: settings.user === '' ? `Log in to ${settings.host}` : `Log in as ${settings.user}`,
  };
  const isLocal = settings.auth.kind === 'local';
  const phaseSteps = (isLocal ? [] : phases).map(
    (phase) => new Step(`${prefix}.${phase}`, titles[phase], report),
  );
  const inputSteps = settings.inputs.map((input, index) => ({
    input,
    step: new Step(`${prefix}.input.${index}`, `Read ${inputName(input)} on ${settings.host}`, report),
  }));
  const waiting = [...phaseSteps];
  try {
    waiting[0]?.begin();
    await using link = isLocal
      ? new LocalLink()
      : await SshConnection.open(settings, deps, signal, (_phase, detail) => {
          waiting.shift()?.end({ state: 'ok', detail, error: null });
          waiting[0]?.begin();
        });
    for (const { input, step } of inputSteps) {
      step.begin();
      step.end(await testInput(input, where, link, signal));
    }
  } catch (error) {
    // A connection that breaks during the inputs fails the input that was being tested.
    const broken = [...phaseSteps, ...inputSteps.map(({ step }) => step)].find((step) => !step.isOver);
    broken?.end({ state: 'failed', detail: '', error: toWireError(error) });
  }
  for (const step of [...phaseSteps, ...inputSteps.map(({ step }) => step)]) step.skip();
}

async function testInput(
  input: LogInput,
  where: string,
  link: HostLink,
  signal: AbortSignal,
): Promise<Found> {
  const answer = await runToEnd(
    link,
    probeInput(input),
    AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
  );
  if (answer.code === null) {
    const message = `${where} did not answer when asked for ${inputName(input)}. Test again.`;
    return failed(new HeadwayError('timeout', message, { retryable: true }));
  }
  switch (input.kind) {
    case 'file':
      return fileFound(input.path, where, answer);
    case 'docker':
      if (answer.code !== 0) return failed(dockerError(input.container, where, answer.code, answer.stderr));
      if (answer.stdout === 'running') return ok('running');
      return warning(`The container is ${answer.stdout}; its log is read, and followed when it runs.`);
    case 'journal':
      if (answer.code !== 0 || answer.stderr !== '')
        return failed(journalError(where, answer.code, answer.stderr));
      if (answer.stdout !== '') return ok(answer.stdout);
      return warning(`The journal has no entry of ${input.unit} yet. Check the name of the unit.`);
    case 'command':
      if (answer.code === 0) return ok('it is there; it is not run for a test');
      return failed(
        new HeadwayError(
          'command-failed',
          `${input.command[0] ?? ''} is not there on ${where}, or not in the PATH of a login without a terminal.`,
        ),
      );
    case 'kubernetes':
      if (input.pod === undefined) return groupFound(input, where, answer);
      if (answer.code !== 0) {
        const pod = { namespace: input.namespace, pod: `pod ${input.pod}` };
        return failed(kubernetesError(pod, where, answer.code, answer.stderr));
      }
      return ok(answer.stdout);
    case 'files':
    case 'docker-label':
      return groupFound(input, where, answer);
  }
}

function groupFound(input: LogInput, where: string, answer: RemoteEnd & { stdout: string }): Found {
  const kind = groupKind(input, where);
  const error = kind?.error(answer) ?? null;
  if (error !== null) return failed(error);
  const names = kind?.members(answer.stdout).map(({ name }) => name) ?? [];
  if (names.length === 0) return warning('There is nothing like it now. What appears later is read.');
  const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ', …' : '');
  if (names.length <= MAX_MEMBERS) return ok(`${names.length} found: ${shown}`);
  return warning(`${names.length} found, of which at most ${MAX_MEMBERS} are read: ${shown}`);
}

function fileFound(path: string, where: string, answer: RemoteEnd & { stdout: string }): Found {
  if (answer.code === 0) return ok(`${Number(answer.stdout).toLocaleString('en')} bytes`);
  if (answer.code === exitCode.missing && !/permission denied/i.test(answer.stderr)) {
    return warning('There is no such file yet. It is read as soon as it appears.');
  }
  return failed(
    new HeadwayError(
      'command-failed',
      `${path} cannot be read as ${where}: ${answer.stderr}. Give the user the right to read it.`,
    ),
  );
}

const ok = (detail: string): Found => ({ state: 'ok', detail, error: null });
const warning = (detail: string): Found => ({ state: 'warning', detail, error: null });
const failed = (error: HeadwayError): Found => ({ state: 'failed', detail: '', error: error.toWire() });

/** waiting → running → ok, warning or failed; waiting → skipped. */
class Step {
  #step: TestStep;
  #report: Report;
  #startedAt = 0;

  constructor(id: string, title: string, report: Report) {
    this.#report = report;
    this.#step = { id, title, state: 'waiting', durationMs: null, detail: '', error: null };
    report(this.#step);
  }

  get isOver(): boolean {
    return this.#step.state !== 'waiting' && this.#step.state !== 'running';
  }

  begin(): void {
    this.#startedAt = performance.now();
    this.#tell({ state: 'running' });
  }

  end(found: Found): void {
    this.#tell({ ...found, durationMs: performance.now() - this.#startedAt });
  }

  /** Does nothing to a step that is over. */
  skip(): void {
    if (!this.isOver) this.#tell({ state: 'skipped' });
  }

  #tell(change: Partial<TestStep>): void {
    this.#step = { ...this.#step, ...change };
    this.#report(this.#step);
  }
}
