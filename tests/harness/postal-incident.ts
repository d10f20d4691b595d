// Incident 1: head-of-line blocking. 41 mail servers share 2 worker threads whose claim has no fair order; one
// server's burst of 50 makes a monitoring message of another server ("mailflow") wait for all of them.
import type { PostalServer } from './postal-schema.ts';
import { PostalWorkload } from './postal-workload.ts';
import type { Arrivals, Enqueued, PostalWorkloadOptions } from './postal-workload.ts';

export const MAILFLOW_ID = 3;
export const BURSTING_ID = 17;

/** The 41 servers of the incident; 3 is "mailflow", 17 the one that bursts. */
export const incident1Servers: readonly PostalServer[] = Array.from({ length: 41 }, (_, i) => {
  const id = i + 1;
  const name = id === MAILFLOW_ID ? 'mailflow' : id === BURSTING_ID ? 'newsletter' : undefined;
  return { id, name: name ?? `customer-${String(id).padStart(2, '0')}` };
});

export interface Incident1Options extends Omit<PostalWorkloadOptions, 'arrivals'> {
  /** Messages per second of all other servers together, in life (default 0.02: an eighth of the capacity). */
  backgroundPerSecond?: number;
  /** Seconds between two monitoring messages, in life (default 60; 0 for none besides each burst's). */
  mailflowEverySeconds?: number;
  burstSize?: number;
  /** Begin with a burst (default true). */
  burstAtStart?: boolean;
}

export interface Burst {
  burst: Enqueued[];
  /** The monitoring message that was queued just after. */
  mailflow: Enqueued;
}

export interface Incident1 extends AsyncDisposable {
  readonly workload: PostalWorkload;
  /** Queues a burst and a monitoring message right behind it. */
  burst(): Promise<Burst>;
  /** Ends in good order: what is being delivered is finished. */
  stop(): Promise<void>;
}

/** Plays the incident on a Postal that has `incident1Servers`. */
export async function playIncident1(options: Incident1Options): Promise<Incident1> {
  await using cleanup = new AsyncDisposableStack();
  const workload = cleanup.use(new PostalWorkload({ ...options, arrivals: background(options) }));
  let recipients = 0;
  const burst = async (): Promise<Burst> => {
    // Every recipient has a domain of its own, so batching does not gather the burst on one thread.
    const messages = await workload.enqueue(BURSTING_ID, {
      count: options.burstSize ?? 50,
      domain: () => `recipient-${++recipients}.example`,
      subject: 'Our news',
    });
    const [mailflow] = await workload.enqueue(MAILFLOW_ID, { subject: 'Mailflow check', sizeBytes: 2_000 });
    if (mailflow === undefined) throw new Error('the monitoring message was not queued');
    return { burst: messages, mailflow };
  };
  if (options.burstAtStart ?? true) await burst();
  const owned = cleanup.move();
  return { workload, burst, stop: () => workload.stop(), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Quiet traffic: the other servers share the background rate; mailflow is watched at a fixed pace. */
function background(options: Incident1Options): Arrivals[] {
  const others = options.postal.servers.filter(({ id }) => id !== MAILFLOW_ID);
  const perSecond = (options.backgroundPerSecond ?? 0.02) / others.length;
  const every = options.mailflowEverySeconds ?? 60;
  return [
    ...(perSecond === 0 ? [] : others.map(({ id }): Arrivals => ({ serverId: id, perSecond }))),
    ...(every === 0
      ? []
      : [{ serverId: MAILFLOW_ID, perSecond: 1 / every, pattern: 'fixed' } satisfies Arrivals]),
  ];
}
