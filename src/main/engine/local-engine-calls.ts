// The calls of EngineAdmin as messages: what the main loop asks, given to the engine in its thread.
import type { EngineAdmin } from './admin.ts';
import type { AdminAnswer, AdminCall } from './engine-messages.ts';

/** Answers as the call's schema in `adminAnswers` says. Rejects as the engine does. */
export async function answerAdmin(
  admin: EngineAdmin,
  asked: AdminCall,
): Promise<AdminAnswer<AdminCall['call']>> {
  switch (asked.call) {
    case 'view':
      // Quick, and nobody waits: the main loop forgets what it no longer needs.
      return admin.view(new AbortController().signal);
    case 'deadGroups':
      return admin.deadGroups(asked.limit);
    case 'deadJobs':
      return admin.deadJobs(asked.filter, asked.afterId, asked.limit);
    case 'blockedJobs':
      return admin.blockedJobs(asked.filter, asked.afterId, asked.limit);
    case 'list':
      return admin.list(asked.request);
    case 'job':
      return admin.job(asked.id);
    case 'hold':
      await admin.hold(asked.hold);
      return null;
    case 'unhold':
      return admin.unhold(asked.scope);
    case 'bulk':
      return admin.bulk(asked.what, asked.filter);
    case 'stopBulk':
      await admin.stopBulk(asked.jobId);
      return null;
    case 'enqueue':
      return admin.enqueue(asked.jobs);
  }
}
