// Who sends what in the rehearsal: 41 mail servers, their rates, and how long a message takes to work off. The
// figures are those of incident 1 (50 messages in a burst, 2 workers, about 300 s of wait), played 10 times faster.
import { z } from 'zod';
import type { TenantInfo } from '../../../core/sample.ts';
import { type Clock, sleep } from '../clock.ts';
import type { NewJob } from '../job.ts';
import { type Handler, JobError } from '../workers/handler.ts';
import type { Random } from './incident-play.ts';

/** How many times faster than the incident everything goes. */
export const SPEED = 10;
export const BURST_SIZE = 50;
/** Long enough that two workers catch up between two bursts, short enough that a visitor soon sees one. */
export const BURST_EVERY_MS = 90_000;
export const FIRST_BURST_AFTER_MS = 3_000;
/** Mean run of a message: 12 s in the incident (50 of them on 2 threads kept mailflow waiting for 300 s). */
export const MEAN_RUN_MS = 12_000 / SPEED;
/** Spread of the run (standard deviation of its logarithm): the slowest of twenty takes about 2.6 s. */
const RUN_SIGMA = 0.5;
/** A watched message this often: lag is then seen a few seconds after it begins. */
export const MAILFLOW_EVERY_MS = 4_000;
/** All other tenants together. With mailflow's it keeps two workers half busy between bursts. */
export const BACKGROUND_PER_S = 0.58;

export const MAIL = 'mail';
const GREYLISTED = 0.02;
const GREYLIST_RETRY_MS = 300_000 / SPEED;

// In order of their ids, from 1. mailflow is 3, as in the incident.
const names = [
  ['newsletter', 'Norden Media'],
  ['billing', 'Kestrel Finance'],
  ['mailflow', 'Operations'],
  ['alerts', 'Operations'],
  ['support', 'Kestrel Finance'],
  ['signup', 'Fieldnote'],
  ['calendar', 'Fieldnote'],
  ['clinic', 'Saint Odile'],
  ['library', 'Town of Brackwater'],
  ['parking', 'Town of Brackwater'],
  ['tickets', 'Grand Theatre'],
  ['edify', 'Edify Learning'],
  ['campus', 'Edify Learning'],
  ['payroll', 'Harrow & Sons'],
  ['orders', 'Tern Trading'],
  ['returns', 'Tern Trading'],
  ['shop', 'Tern Trading'],
  ['harbour', 'Port Authority'],
  ['pilots', 'Port Authority'],
  ['weather', 'Skylark'],
  ['forum', 'Woodturners'],
  ['events', 'Norden Media'],
  ['press', 'Norden Media'],
  ['recruiting', 'Harrow & Sons'],
  ['invoices', 'Alder Logistics'],
  ['dispatch', 'Alder Logistics'],
  ['fleet', 'Alder Logistics'],
  ['bakery', 'Crumb'],
  ['bookings', 'Hotel Aurora'],
  ['reviews', 'Hotel Aurora'],
  ['lab-results', 'Saint Odile'],
  ['donations', 'Open Shelter'],
  ['volunteers', 'Open Shelter'],
  ['energy', 'Brightmeter'],
  ['meters', 'Brightmeter'],
  ['choir', 'Saint Odile'],
  ['rowing', 'Rowing Club'],
  ['observatory', 'Skylark'],
  ['archive', 'Town of Brackwater'],
  ['staging', 'Fieldnote'],
  ['postmaster', 'Operations'],
] as const;

export const tenants: TenantInfo[] = names.map(([name, detail], i) => ({ id: String(i + 1), name, detail }));
const idOf = (name: (typeof names)[number][0]): string => tenants.find((t) => t.name === name)?.id ?? '';
export const WATCHED = { id: idOf('mailflow'), name: 'mailflow' };
export const NOISY = { id: idOf('edify'), name: 'edify' };
const others = tenants.filter((tenant) => tenant.id !== WATCHED.id);

const payloadSchema = z.object({
  domain: z.string(),
  stagesMs: z.object({ load: z.number(), inspect: z.number(), dkim: z.number(), deliver: z.number() }),
  /** The receiving server turns the first attempt away. */
  greylisted: z.boolean(),
});

/** A message with how long it will take: so a change of order or workers changes nothing of the work. */
export function message(tenantId: string, random: Random): NewJob {
  const runMs = logNormal(MEAN_RUN_MS, RUN_SIGMA, random);
  // Loading, inspecting and signing were fast in the incident; delivery took the time.
  const share = {
    load: 0.03 + 0.03 * random(),
    inspect: 0.08 + 0.08 * random(),
    dkim: 0.02 + 0.02 * random(),
  };
  const payload: z.infer<typeof payloadSchema> = {
    domain: `example.${random() < 0.7 ? 'com' : 'org'}`,
    stagesMs: {
      load: runMs * share.load,
      inspect: runMs * share.inspect,
      dkim: runMs * share.dkim,
      deliver: runMs * (1 - share.load - share.inspect - share.dkim),
    },
    // The watched tenant's mail goes to a mailbox of its own.
    greylisted: tenantId !== WATCHED.id && random() < GREYLISTED,
  };
  return { tenantId, kind: MAIL, payload };
}

/** Which of the other tenants sends the next message. */
export function anyOther(random: Random): string {
  return others[Math.floor(random() * others.length)]?.id ?? NOISY.id;
}

/** A lognormal value with the given mean (not median), by Box and Muller. */
function logNormal(mean: number, sigma: number, random: Random): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return mean * Math.exp(sigma * normal - (sigma * sigma) / 2);
}

/** Sleeps through the stages of a message: the queue and its order are real, the mail is not. */
export function mailHandler(clock: Clock): Handler {
  return {
    kind: MAIL,
    runsIn: 'engine',
    async run(job, { stage, signal }) {
      const { stagesMs, greylisted, domain } = payloadSchema.parse(job.payload);
      for (const [name, ms] of Object.entries(stagesMs)) await stage(name, () => sleep(clock, ms, signal));
      if (greylisted && job.attempt === 1) {
        throw new JobError('transient', `451 4.7.1 greylisted by mx.${domain}, try again later`, {
          retryAfterMs: GREYLIST_RETRY_MS,
        });
      }
    },
  };
}
