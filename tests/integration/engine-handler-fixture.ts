// What the tests of the handlers share: a job to run, a clock that goes faster, and eyes for what is left behind.
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../../src/main/engine/clock.ts';
import type { HandlerContext, HandlerJob } from '../../src/main/engine/workers/handler.ts';

/** Real time, `times` as fast: a grace of 5 s passes in 5 s / `times`. Counts the timers that nobody took back. */
export function fastClock(times: number): Clock & { timers: () => number } {
  const begunMs = Date.now();
  const timers = new Set<NodeJS.Timeout>();
  return {
    now: () => begunMs + (Date.now() - begunMs) * times,
    after: (ms, fire) => {
      const timer = setTimeout(() => {
        timers.delete(timer);
        fire();
      }, ms / times);
      timers.add(timer);
      return () => {
        timers.delete(timer);
        clearTimeout(timer);
      };
    },
    breathe: () => Promise.resolve(),
    timers: () => timers.size,
  };
}

export const aJob = (payload: unknown = null, id = 1): HandlerJob => ({
  id,
  tenantId: 'acme',
  kind: 'test',
  payload,
  attempt: 1,
});

/** A context that keeps what it is told. */
export function aContext(signal: AbortSignal = new AbortController().signal) {
  const stages: string[] = [];
  const notes: { done: number; note: string | undefined }[] = [];
  const context: HandlerContext = {
    signal,
    stage: async (name, part) => {
      stages.push(name);
      return part();
    },
    progress: (done, note) => notes.push({ done, note }),
  };
  return { context, stages, notes };
}

/** A mark in the environment of a program: whatever descends from it has it too, wherever it went. */
export function aMark() {
  const mark = `HEADWAY_TEST_MARK=${randomUUID()}`;
  const [name = '', value = ''] = mark.split('=');
  return {
    name,
    value,
    env: { [name]: value },
    /** Processes that carry the mark, zombies left out: they have no environment. */
    pids: (): number[] =>
      readdirSync('/proc')
        .filter((entry) => /^\d+$/.test(entry))
        .map(Number)
        .filter((pid) => environmentOf(pid).includes(mark)),
  };
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}

/** The processes, pipes and sockets that this process has open: the same before and after, or something leaks. */
export function openHandles(): string {
  const kinds = ['PipeWrap', 'ProcessWrap', 'TCPSocketWrap', 'MessagePort', 'Worker'];
  const resources = process.getActiveResourcesInfo().filter((name) => kinds.includes(name));
  return `${readdirSync('/proc/self/fd').length} files, ${resources.sort().join(' ')}`;
}
