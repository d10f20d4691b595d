// What the end of a program means for its job: success, or a failure with a class.
import { stripVTControlCharacters } from 'node:util';
import type { ErrorClass } from '../../../../core/error-class.ts';
import { JobError } from '../handler.ts';
import type { ProgramEnd } from './program.ts';

const STDERR_SHOWN_BYTES = 4 * 1024;
const LAST_LINE_CHARS = 200;
const MEGABYTE = 1024 * 1024;

type RunEnd = Exclude<ProgramEnd, { how: 'unstartable' }>;

export interface Expected {
  /** Of the program, in words: `"convert"`, `the probe "check"`. */
  name: string;
  successCodes: readonly number[];
  errorCodes: Partial<Record<ErrorClass, readonly number[]>>;
  output: 'anything' | 'json';
  memoryLimitBytes: number;
  /** What it did when its time was up, in words: "took longer than 900 s (scriptSeconds)". */
  late: string;
  hide: (text: string) => string;
}

/** Null: it did what was asked. `aborted` is read as the end of its own time. */
export function verdictOn(end: RunEnd, expected: Expected): JobError | null {
  const { name } = expected;
  const fail = (errorClass: ErrorClass, message: string): JobError =>
    failureWith(errorClass, message, end, expected.hide);
  switch (end.how) {
    case 'aborted':
      return fail('timeout', `${name} ${expected.late} and was ended`);
    case 'memory': {
      // Every job has processes of its own, so what they hold is this job's doing, and would be again.
      const held = Math.ceil(end.bytes / MEGABYTE);
      const allowed = Math.floor(expected.memoryLimitBytes / MEGABYTE);
      return fail(
        'permanent',
        `${name} held ${held} MB of memory, over its limit of ${allowed} MB, and was ended`,
      );
    }
    case 'killed':
      return fail('transient', `${name} was killed by ${end.signal}${lastWords(end)}`);
    case 'flood':
      return fail('permanent', tooMuch(name));
    case 'exited':
      if (!expected.successCodes.includes(end.code))
        return fail(classOf(end.code, expected), `${name} ended with code ${end.code}${lastWords(end)}`);
      return expected.output === 'json' && end.stdout.overflown ? fail('permanent', tooMuch(name)) : null;
  }
}

/**
 * Why standard output is no JSON document; null when it is one. Class `transient`: a program that was cut short writes
 * nothing or half a document, and may do better next time.
 */
export function unreadable(end: RunEnd, { name, hide }: Pick<Expected, 'name' | 'hide'>): JobError | null {
  const text = end.stdout.text().trim();
  if (text === '') {
    return failureWith(
      'transient',
      `${name} wrote nothing to standard output, where JSON is wanted`,
      end,
      hide,
    );
  }
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const why = (error as SyntaxError).message;
    return failureWith('transient', `${name} wrote to standard output what is no JSON: ${why}`, end, hide);
  }
}

/** A failure with the end of what the program wrote to standard error; no secret is in either. */
export function failureWith(
  errorClass: ErrorClass,
  message: string,
  end: RunEnd,
  hide: (text: string) => string,
): JobError {
  // The whole of what is kept is searched for secrets, so that none is cut in two and missed.
  const tail = Buffer.from(hide(end.stderr.text()));
  const shown = tail.subarray(Math.max(0, tail.length - STDERR_SHOWN_BYTES)).toString('utf8');
  return new JobError(errorClass, hide(message), shown === '' ? {} : { stderrTail: shown });
}

const tooMuch = (name: string): string =>
  `${name} wrote more than 1 MB to standard output, where one JSON document is wanted`;

function classOf(code: number, { errorCodes }: Expected): ErrorClass {
  const found = Object.entries(errorCodes).find(([, codes]) => codes.includes(code));
  // The keys of such a record are error classes alone.
  return (found?.[0] as ErrorClass | undefined) ?? 'transient';
}

/** ": its last line" of standard error, or where that is empty of standard output. */
function lastWords({ stderr, stdout }: RunEnd): string {
  for (const text of [stderr.text(), stdout.text()]) {
    const line =
      stripVTControlCharacters(text)
        .trimEnd()
        .split(/[\r\n]/)
        .at(-1)
        ?.trim() ?? '';
    if (line !== '') return `: ${line.slice(0, LAST_LINE_CHARS)}${NO_DEVICE.test(line) ? DEVICE_HINT : ''}`;
  }
  return '';
}

/** The streams that Node gives a program are sockets, which Linux does not open by their name. */
const NO_DEVICE = /\/dev\/(std(in|out|err)|fd\/\d): No such device or address/;
const DEVICE_HINT =
  ' (in a job, write ">&2" in place of "> /dev/stderr", and read standard input without naming it)';
