// How a job is declared: by its kind, in the settings or in the file that a headless engine is given.
import { z } from 'zod';
import { errorClassSchema } from '../core/error-class.ts';
import { secretRefSchema } from './secret-ref.ts';

const SECOND = 1;
const MINUTE = 60 * SECOND;
const seconds = z
  .number()
  .positive()
  .max(7 * 24 * 60 * MINUTE);
const ratio = z.number().min(0).max(1);

/** Names a kind, and what it says in logs and metrics. */
export const kindNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'use small letters, digits, dots, hyphens and underscores, at most 63',
  );

export const handlerSettingsSchema = z.discriminatedUnion('type', [
  /** A TypeScript or JavaScript module, run in a worker thread: `export default async (job, context) => …`. */
  z.strictObject({
    type: z.literal('module'),
    file: z.string().min(1),
    export: z.string().min(1).default('default'),
  }),
  /** A program and its arguments: never a shell string. */
  z.strictObject({
    type: z.literal('command'),
    command: z.array(z.string()).min(1),
    /** Its working directory; that of the file which declares the kind when left out. */
    cwd: z.string().min(1).optional(),
    /** Its whole environment, beside PATH, HOME, LANG and TZ; values may name secrets. */
    env: z.record(z.string(), z.union([z.string(), secretRefSchema])).default({}),
    /** What it reads from standard input. */
    input: z.enum(['payload', 'nothing']).default('payload'),
    /** What it must write to standard output; `json` makes empty output and broken JSON errors of their own. */
    output: z.enum(['anything', 'json']).default('anything'),
    /** The result of a job whose output is empty or no JSON, in place of an error. */
    defaultResult: z.json().optional(),
    successCodes: z.array(z.int().min(0).max(255)).min(1).default([0]),
    /** Exit codes that stand for a class of error; every other code is `transient`. EX_TEMPFAIL (75) is. */
    errorCodes: z.partialRecord(errorClassSchema, z.array(z.int().min(0).max(255))).default({}),
    /** A health check of the script, run before it and at most once a minute; it must end with 0. */
    probe: z.array(z.string()).min(1).optional(),
  }),
  z.strictObject({
    type: z.literal('http'),
    url: z.url({ protocol: /^https?$/ }),
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).default('POST'),
    headers: z.record(z.string(), z.union([z.string(), secretRefSchema])).default({}),
    body: z.enum(['payload', 'nothing']).default('payload'),
  }),
  /** Programs of any language take the jobs from a headless engine over HTTP (docs/engine.md). */
  z.strictObject({ type: z.literal('pull') }),
]);
export type HandlerSettings = z.infer<typeof handlerSettingsSchema>;

/** Each inner one is shorter than the one around it, so that the innermost tells what was slow (incident 3). */
export const timeoutsSchema = z
  .strictObject({
    /** The whole attempt. */
    jobSeconds: seconds.default(30 * MINUTE),
    /** The script or the request within it. */
    scriptSeconds: seconds.optional(),
    /** The health check before it. */
    probeSeconds: seconds.optional(),
  })
  .refine(({ jobSeconds, scriptSeconds }) => (scriptSeconds ?? 0) < jobSeconds, {
    path: ['scriptSeconds'],
    message: 'must be shorter than jobSeconds',
  })
  .refine(
    ({ scriptSeconds, jobSeconds, probeSeconds }) => (probeSeconds ?? 0) < (scriptSeconds ?? jobSeconds),
    {
      path: ['probeSeconds'],
      message: 'must be shorter than scriptSeconds',
    },
  );

/** How a class of error is tried again: exponential with full jitter from `baseSeconds` up to `ceilingSeconds`. */
export const retryRuleSchema = z.strictObject({
  retry: z.boolean().optional(),
  baseSeconds: seconds.optional(),
  ceilingSeconds: seconds.optional(),
});
export const retrySchema = z.strictObject({
  /** Attempts before it goes to the dead set, counting the first. */
  maxAttempts: z.int().min(1).max(1000).default(5),
  /** Changes to the shipped rule of a class. */
  classes: z.partialRecord(errorClassSchema, retryRuleSchema).default({}),
});

export const rateSchema = z.strictObject({ starts: z.int().min(1), perSeconds: seconds });

export const breakerSchema = z.strictObject({
  /** What the kind depends on; kinds that name the same dependency share one breaker. */
  dependency: kindNameSchema,
  /** Opens when so many of the last calls failed (permanent errors are the job's own fault and do not count). */
  failureRatio: ratio.default(0.5),
  /** Attempts that must have ended in the window before it is judged. */
  minimumCalls: z.int().min(1).default(10),
  windowSeconds: seconds.default(60),
  /** How long it stays open before it tries one call. */
  openSeconds: seconds.default(30),
});

/** Incident 4: 15 at once, within 5-25; over 15 % errors two fewer, under 5 % and a mean under 10 s one more. */
export const throttleSchema = z
  .strictObject({
    minimum: z.int().min(1).default(5),
    start: z.int().min(1).default(15),
    maximum: z.int().min(1).default(25),
  })
  .refine(({ minimum, start, maximum }) => minimum <= start && start <= maximum, {
    path: ['start'],
    message: 'must lie between minimum and maximum',
  });

const PAYLOAD_LIMIT_MB = 50;

export const jobKindSchema = z.strictObject({
  kind: kindNameSchema,
  handler: handlerSettingsSchema,
  timeouts: timeoutsSchema.prefault({}),
  retry: retrySchema.prefault({}),
  /** Jobs of the kind that one engine runs at once; as many as there are workers when left out. */
  concurrency: z.int().min(1).optional(),
  rate: rateSchema.optional(),
  breaker: breakerSchema.optional(),
  throttle: throttleSchema.optional(),
  /** Of the worker thread or the process tree; over it the attempt ends as an error. */
  memory: z.strictObject({ limitMegabytes: z.int().min(16).default(512) }).prefault({}),
  /** Kinds whose jobs of the same tenant and batch must be done before. */
  dependsOn: z.array(kindNameSchema).default([]),
  /** What becomes of it when a job it waits for goes to the dead set. */
  onDeadParent: z.enum(['block', 'cancel', 'release']).default('block'),
  /** Higher goes first within its tenant. */
  priority: z.int().min(-1000).max(1000).default(0),
  payloadLimitMegabytes: z.number().positive().max(PAYLOAD_LIMIT_MB).default(PAYLOAD_LIMIT_MB),
  /** Fields of the payload that the window shows as "redacted", by path: "user.email", "items.*.token". */
  redact: z.array(z.string().min(1)).default([]),
});
/** A kind of job as the engineer declared it. */
export type JobKind = z.infer<typeof jobKindSchema>;

export const tenantShareSchema = z.strictObject({
  /** Service it may have beside a tenant of weight 1. */
  weight: z.number().min(0.01).max(100).default(1),
  /** Jobs of the tenant that one engine runs at once. */
  cap: z.int().min(1).optional(),
});

export const claimOrderSchema = z.enum(['first-come', 'fair', 'fair-time']);
/**
 * `first-come`: strictly by id. `fair`: tenants in turn, then by priority, then by age. `fair-time`: tenants in turn,
 * each up to its share of run time, so that a tenant of slow jobs takes no more of the workers than the others.
 */
export type ClaimOrder = z.infer<typeof claimOrderSchema>;

/** What one engine works on, and how: `engine` in the settings, or the file of `headway worker --jobs`. */
export const engineSettingsSchema = z
  .strictObject({
    /** Jobs at once; `HEADWAY_WORKERS` and `--workers` override it. */
    workers: z.int().min(1).max(512).default(10),
    order: claimOrderSchema.default('fair'),
    kinds: z.array(jobKindSchema).default([]),
    tenants: z.record(z.string(), tenantShareSchema).default({}),
    /** Seconds that running jobs have to finish when the engine stops. */
    stopSeconds: z.number().min(0).max(3600).default(30),
  })
  .superRefine(({ kinds }, context) => {
    const seen = new Set<string>();
    for (const [i, { kind, dependsOn }] of kinds.entries()) {
      if (seen.has(kind))
        context.addIssue({
          code: 'custom',
          path: ['kinds', i, 'kind'],
          message: `"${kind}" is declared twice`,
        });
      seen.add(kind);
      for (const [j, parent] of dependsOn.entries())
        if (!kinds.some((other) => other.kind === parent))
          context.addIssue({
            code: 'custom',
            path: ['kinds', i, 'dependsOn', j],
            message: `there is no kind "${parent}"`,
          });
    }
    const cycle = cycleOf(kinds);
    if (cycle)
      context.addIssue({
        code: 'custom',
        path: ['kinds'],
        message: `kinds wait for each other: ${cycle.join(' → ')}`,
      });
  });
export type EngineSettings = z.infer<typeof engineSettingsSchema>;

/** A circle of kinds that wait for each other, from a kind back to itself; null when there is none. */
function cycleOf(kinds: readonly Pick<JobKind, 'kind' | 'dependsOn'>[]): string[] | null {
  const parents = new Map(kinds.map(({ kind, dependsOn }) => [kind, dependsOn]));
  const clear = new Set<string>();
  const walk = (kind: string, path: string[]): string[] | null => {
    if (path.includes(kind)) return [...path.slice(path.indexOf(kind)), kind];
    if (clear.has(kind)) return null;
    for (const parent of parents.get(kind) ?? []) {
      const cycle = walk(parent, [...path, kind]);
      if (cycle) return cycle;
    }
    clear.add(kind);
    return null;
  };
  for (const { kind } of kinds) {
    const cycle = walk(kind, []);
    if (cycle) return cycle;
  }
  return null;
}
