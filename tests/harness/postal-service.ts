// How long the stages of a delivery take, and how often one fails: the part of the workload that is made up.

export const STAGES = ['load', 'inspect', 'dkim', 'deliver'] as const;
export type Stage = (typeof STAGES)[number];
/** Milliseconds per stage. */
export type StageTimes = Record<Stage, number>;

/** What the model may look at. */
export interface ServiceRequest {
  serverId: number;
  domain: string | null;
  sizeBytes: number;
}

/** Mean stage times and the chance of a soft failure (0 to 1) for one message. */
export interface Service {
  meanMs: StageTimes;
  failureRate: number;
}

/** May be changed while the workload runs: it is asked for every message. */
export type ServiceModel = (request: ServiceRequest) => Service;

/**
 * Incident 1: about 12 s a message, nearly all of it the conversation with the receiving server, so that 50
 * messages on 2 threads take 300 s. Signing and large messages are fast.
 */
export const incident1Service: ServiceModel = ({ sizeBytes }) => ({
  meanMs: { load: 150, inspect: 400, dkim: 20 + sizeBytes / 20_000, deliver: 11_400 },
  failureRate: 0,
});

/** Spreads each mean evenly over 0.6 to 1.4 times itself and plays it `speed` times faster. */
export function drawStageTimes(mean: StageTimes, speed: number, random: () => number): StageTimes {
  const draw = (ms: number) => (ms * (0.6 + 0.8 * random())) / speed;
  return {
    load: draw(mean.load),
    inspect: draw(mean.inspect),
    dkim: draw(mean.dkim),
    deliver: draw(mean.deliver),
  };
}
