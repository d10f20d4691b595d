import type { RunningStatement } from '../../../contract/database-health.ts';

/** "session 17 of app (idle in transaction, worker-1)" */
export function namedSession(
  session: Pick<RunningStatement, 'sessionId' | 'user' | 'state' | 'application' | 'client'>,
): string {
  const { sessionId, user, state, application, client } = session;
  const is = (part: string | null) => part !== null && part !== '';
  const where = [state, is(application) ? application : client].filter(is).join(', ');
  return `session ${sessionId}${user === null ? '' : ` of ${user}`}${where === '' ? '' : ` (${where})`}`;
}
