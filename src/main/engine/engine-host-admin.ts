// The main loop's end of EngineAdmin: each call becomes a message, each answer is read by its schema.
import type { EngineAdmin } from './admin.ts';
import type { JobFilter } from './stores/store.ts';
import { type AdminAnswer, adminAnswers, type AdminCall, type FromEngine } from './engine-messages.ts';

/** `ask` carries a call to the engine and resolves with its answer. */
export function engineAdminOver(
  ask: (call: AdminCall, signal?: AbortSignal) => Promise<FromEngine>,
): EngineAdmin {
  const get = async <C extends AdminCall['call']>(
    call: Extract<AdminCall, { call: C }>,
    signal?: AbortSignal,
  ): Promise<AdminAnswer<C>> => {
    const message = await ask(call, signal);
    if (message.t !== 'answer') throw new Error(`the engine answered ${message.t} to ${call.call}`);
    // The schema of that very call; the compiler cannot follow the name through the table.
    return adminAnswers[call.call].parse(message.answer) as AdminAnswer<C>;
  };
  return {
    view: (signal) => get({ call: 'view' }, signal),
    deadGroups: (limit) => get({ call: 'deadGroups', limit }),
    deadJobs: (filter, afterId, limit) => get({ call: 'deadJobs', filter: plain(filter), afterId, limit }),
    blockedJobs: (filter, afterId, limit) =>
      get({ call: 'blockedJobs', filter: plain(filter), afterId, limit }),
    list: (request, signal) => get({ call: 'list', request }, signal),
    job: (id, signal) => get({ call: 'job', id }, signal),
    hold: async (hold) => {
      await get({ call: 'hold', hold });
    },
    unhold: (scope) => get({ call: 'unhold', scope }),
    bulk: (what, filter) => get({ call: 'bulk', what, filter: plain(filter) }),
    stopBulk: async (jobId) => {
      await get({ call: 'stopBulk', jobId });
    },
    enqueue: (jobs) => get({ call: 'enqueue', jobs }),
  };
}

/** A filter of one's own: a message must not share what its sender may change. */
function plain({ ids, ...filter }: JobFilter): Omit<JobFilter, 'ids'> & { ids?: number[] } {
  return ids === undefined ? filter : { ...filter, ids: [...ids] };
}
