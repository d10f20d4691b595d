// Pods of Kubernetes by kubectl, as the host is set up for it.
import { HeadwayError } from '../../contract/errors.ts';
import { exitCode } from './remote-script.ts';
import type { StampedCarrier } from './stamped-input.ts';
import { followPod, type PodOptions } from './tail-command.ts';

/** `[pod/NAME/CONTAINER] 2026-01-09T12:34:56.1234+02:00 text`: nodes stamp in their own zone, and trim zeros. */
const STAMPED =
  /^(?:\[pod\/[^/\]]+\/([^\]]+)\] )?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?/;

export function podCarrier(pod: PodOptions): StampedCarrier {
  return {
    name: pod.pod,
    follow: (from) => followPod(pod, from),
    read: (raw) => {
      const match = STAMPED.exec(raw);
      if (match === null) return null;
      const [head, container, time = '', fraction = '', zone = ''] = match;
      const atMs = Date.parse(`${time}${zone}`);
      if (Number.isNaN(atMs)) return null;
      const stamp = `${new Date(atMs).toISOString().slice(0, 19)}.${fraction.padEnd(9, '0')}Z`;
      const text = raw.slice(head.length);
      return { stamp, text: container === undefined ? text : `[${container}] ${text}` };
    },
    error: (host, code, said) => kubernetesError(pod, host, code, said),
  };
}

/** What kubectl's refusals mean, and what to do. */
export function kubernetesError(
  { namespace, pod }: { namespace: string | undefined; pod: string },
  host: string,
  code: number | null,
  said: string,
): HeadwayError {
  const where = namespace === undefined ? '' : ` in the namespace ${namespace}`;
  const failed = (message: string) => new HeadwayError('command-failed', message);
  if (code === exitCode.commandNotFound) {
    return failed(`kubectl is not installed on ${host}, or not in the PATH of a login without a terminal.`);
  }
  if (/\(NotFound\)|not found/i.test(said)) {
    return failed(
      `There is no ${pod}${where}, as ${host} sees the cluster. "kubectl get pods" there lists them.`,
    );
  }
  if (/\(Forbidden\)|forbidden|unauthorized/i.test(said)) {
    return failed(
      `The user on ${host} may not read ${pod}${where}. It takes "get" and "list" of pods and pods/log.`,
    );
  }
  return failed(`kubectl on ${host} failed with code ${code ?? 'none'}: ${said}`);
}
