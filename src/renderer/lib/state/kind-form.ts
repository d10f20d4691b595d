// One kind of job as the form holds it. Pure: from the setting to fields and back; the schema judges the result.
import { errorClassSchema } from '../../../core/error-class.ts';
import type { ErrorClass } from '../../../core/error-class.ts';
import { jobKindSchema } from '../../../contract/job-kinds.ts';
import type { HandlerSettings, JobKind } from '../../../contract/job-kinds.ts';
import type { SecretRef } from '../../../contract/secret-ref.ts';
import { commandLines, commandOf } from './command-lines.ts';
import { listOf, numberOf } from './form-text.ts';

/** A variable or a header: its value stands here, or where it is found does. */
export interface PairFields {
  key: number;
  name: string;
  from: 'text' | 'env' | 'file' | 'stored';
  value: string;
}
/** Changes to the shipped rule of a class of errors; empty: as shipped. */
export interface ClassFields {
  retry: '' | 'yes' | 'no';
  baseSeconds: string;
  ceilingSeconds: string;
  /** Exit codes of a command that mean this class. */
  codes: string;
}
export interface KindFields {
  key: number;
  kind: string;
  type: HandlerSettings['type'];
  file: string;
  exportName: string;
  command: string;
  cwd: string;
  env: PairFields[];
  input: 'payload' | 'nothing';
  output: 'anything' | 'json';
  defaultResult: string;
  successCodes: string;
  probe: string;
  url: string;
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  headers: PairFields[];
  body: 'payload' | 'nothing';
  jobSeconds: string;
  scriptSeconds: string;
  probeSeconds: string;
  maxAttempts: string;
  classes: Record<ErrorClass, ClassFields>;
  concurrency: string;
  rateStarts: string;
  ratePerSeconds: string;
  hasBreaker: boolean;
  dependency: string;
  failurePercent: string;
  minimumCalls: string;
  windowSeconds: string;
  openSeconds: string;
  hasThrottle: boolean;
  minimum: string;
  start: string;
  maximum: string;
  limitMegabytes: string;
  dependsOn: string;
  onDeadParent: JobKind['onDeadParent'];
  priority: string;
  payloadLimitMegabytes: string;
  redact: string;
}

export const errorClasses = errorClassSchema.options;
let lastKey = 0;
export const newPair = (): PairFields => ({ key: ++lastKey, name: '', from: 'text', value: '' });

/** A kind with everything as it is when nothing is said of it. */
export const newKind = (): KindFields => ({
  ...kindFieldsOf(jobKindSchema.parse({ kind: 'new', handler: { type: 'command', command: ['program'] } })),
  kind: '',
  command: '',
});

export function kindFieldsOf(kind: JobKind): KindFields {
  const { handler, breaker, throttle, rate } = kind;
  const command = handler.type === 'command' ? handler : null;
  const http = handler.type === 'http' ? handler : null;
  const module = handler.type === 'module' ? handler : null;
  return {
    key: ++lastKey,
    kind: kind.kind,
    type: handler.type,
    file: module?.file ?? '',
    exportName: module?.export ?? 'default',
    command: commandLines(command?.command ?? []),
    cwd: command?.cwd ?? '',
    env: pairsOf(command?.env ?? {}),
    input: command?.input ?? 'payload',
    output: command?.output ?? 'anything',
    defaultResult: command?.defaultResult === undefined ? '' : JSON.stringify(command.defaultResult),
    successCodes: (command?.successCodes ?? [0]).join(', '),
    probe: commandLines(command?.probe ?? []),
    url: http?.url ?? '',
    method: http?.method ?? 'POST',
    headers: pairsOf(http?.headers ?? {}),
    body: http?.body ?? 'payload',
    jobSeconds: textOf(kind.timeouts.jobSeconds),
    scriptSeconds: textOf(kind.timeouts.scriptSeconds),
    probeSeconds: textOf(kind.timeouts.probeSeconds),
    maxAttempts: textOf(kind.retry.maxAttempts),
    classes: classesOf(kind),
    concurrency: textOf(kind.concurrency),
    rateStarts: textOf(rate?.starts),
    ratePerSeconds: textOf(rate?.perSeconds),
    hasBreaker: breaker !== undefined,
    dependency: breaker?.dependency ?? '',
    failurePercent: textOf((breaker?.failureRatio ?? 0.5) * 100),
    minimumCalls: textOf(breaker?.minimumCalls ?? 10),
    windowSeconds: textOf(breaker?.windowSeconds ?? 60),
    openSeconds: textOf(breaker?.openSeconds ?? 30),
    hasThrottle: throttle !== undefined,
    minimum: textOf(throttle?.minimum ?? 5),
    start: textOf(throttle?.start ?? 15),
    maximum: textOf(throttle?.maximum ?? 25),
    limitMegabytes: textOf(kind.memory.limitMegabytes),
    dependsOn: kind.dependsOn.join(', '),
    onDeadParent: kind.onDeadParent,
    priority: textOf(kind.priority),
    payloadLimitMegabytes: textOf(kind.payloadLimitMegabytes),
    redact: kind.redact.join(', '),
  };
}

/** What the fields stand for, for the schema to judge; `problems` are those that it could not see, by path. */
export function kindOf(fields: KindFields): { draft: unknown; problems: Record<string, string> } {
  const problems: Record<string, string> = {};
  const classes = Object.fromEntries(
    errorClasses.flatMap((name) => {
      const { retry, baseSeconds, ceilingSeconds } = fields.classes[name];
      const rule = {
        ...(retry !== '' && { retry: retry === 'yes' }),
        ...numbers({ baseSeconds, ceilingSeconds }),
      };
      return Object.keys(rule).length === 0 ? [] : [[name, rule]];
    }),
  );
  const draft = {
    kind: fields.kind.trim(),
    handler: handlerOf(fields, problems),
    timeouts: numbers({
      jobSeconds: fields.jobSeconds,
      scriptSeconds: fields.scriptSeconds,
      probeSeconds: fields.probeSeconds,
    }),
    retry: { ...numbers({ maxAttempts: fields.maxAttempts }), classes },
    ...numbers({ concurrency: fields.concurrency }),
    ...(fields.rateStarts.trim() + fields.ratePerSeconds.trim() !== '' && {
      rate: { starts: numberOf(fields.rateStarts), perSeconds: numberOf(fields.ratePerSeconds) },
    }),
    ...(fields.hasBreaker && {
      breaker: {
        dependency: fields.dependency.trim(),
        failureRatio: numberOf(fields.failurePercent) / 100,
        ...numbers({
          minimumCalls: fields.minimumCalls,
          windowSeconds: fields.windowSeconds,
          openSeconds: fields.openSeconds,
        }),
      },
    }),
    ...(fields.hasThrottle && {
      throttle: numbers({ minimum: fields.minimum, start: fields.start, maximum: fields.maximum }),
    }),
    memory: numbers({ limitMegabytes: fields.limitMegabytes }),
    dependsOn: listOf(fields.dependsOn),
    onDeadParent: fields.onDeadParent,
    ...numbers({ priority: fields.priority, payloadLimitMegabytes: fields.payloadLimitMegabytes }),
    redact: listOf(fields.redact),
  };
  return { draft, problems };
}

function handlerOf(fields: KindFields, problems: Record<string, string>): unknown {
  switch (fields.type) {
    case 'module':
      return {
        type: 'module',
        file: fields.file.trim(),
        ...(fields.exportName.trim() !== '' && { export: fields.exportName.trim() }),
      };
    case 'pull':
      return { type: 'pull' };
    case 'http':
      return {
        type: 'http',
        url: fields.url.trim(),
        method: fields.method,
        headers: recordOf(fields.headers, 'handler.headers', problems),
        body: fields.body,
      };
    case 'command': {
      const probe = commandOf(fields.probe);
      return {
        type: 'command',
        command: commandOf(fields.command),
        ...(fields.cwd.trim() !== '' && { cwd: fields.cwd.trim() }),
        env: recordOf(fields.env, 'handler.env', problems),
        input: fields.input,
        output: fields.output,
        ...defaultResultOf(fields.defaultResult, problems),
        successCodes: listOf(fields.successCodes).map(numberOf),
        errorCodes: Object.fromEntries(
          errorClasses
            .map((name) => [name, listOf(fields.classes[name].codes).map(numberOf)] as const)
            .filter(([, codes]) => codes.length > 0),
        ),
        ...(probe.length > 0 && { probe }),
      };
    }
  }
}

function defaultResultOf(text: string, problems: Record<string, string>): object {
  if (text.trim() === '') return {};
  try {
    return { defaultResult: JSON.parse(text) as unknown };
  } catch (error) {
    problems['handler.defaultResult'] = `Not JSON: ${error instanceof Error ? error.message : String(error)}`;
    return {};
  }
}

function classesOf({ retry, handler }: JobKind): KindFields['classes'] {
  const fieldsOf = (name: ErrorClass): ClassFields => {
    const rule = retry.classes[name];
    return {
      retry: rule?.retry === undefined ? '' : rule.retry ? 'yes' : 'no',
      baseSeconds: textOf(rule?.baseSeconds),
      ceilingSeconds: textOf(rule?.ceilingSeconds),
      codes: handler.type === 'command' ? (handler.errorCodes[name] ?? []).join(', ') : '',
    };
  };
  return {
    transient: fieldsOf('transient'),
    permanent: fieldsOf('permanent'),
    'rate-limit': fieldsOf('rate-limit'),
    quota: fieldsOf('quota'),
    timeout: fieldsOf('timeout'),
  };
}

function pairsOf(record: Readonly<Record<string, string | SecretRef>>): PairFields[] {
  return Object.entries(record).map(([name, value]) => {
    const pair = { key: ++lastKey, name };
    if (typeof value === 'string') return { ...pair, from: 'text', value };
    if ('env' in value) return { ...pair, from: 'env', value: value.env };
    return 'file' in value
      ? { ...pair, from: 'file', value: value.file }
      : { ...pair, from: 'stored', value: value.stored };
  });
}

function recordOf(pairs: readonly PairFields[], path: string, problems: Record<string, string>): unknown {
  const record: Record<string, unknown> = {};
  for (const { name: typed, from, value } of pairs) {
    const name = typed.trim();
    if (name === '') problems[path] = 'Each needs a name';
    else if (name in record) problems[path] = `“${name}” stands here twice`;
    record[name] = from === 'text' ? value : { [from]: value.trim() };
  }
  return record;
}

/** Only what was filled in: what is empty is as shipped. */
const numbers = (texts: Record<string, string>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(texts)
      .filter(([, text]) => text.trim() !== '')
      .map(([name, text]) => [name, numberOf(text)]),
  );

const textOf = (value: number | undefined): string => (value === undefined ? '' : String(value));
