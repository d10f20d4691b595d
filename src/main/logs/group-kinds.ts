// What can be found on a host: files by a pattern, containers by a label, pods by a selector.
import { HeadwayError } from '../../contract/errors.ts';
import type { LogInput } from '../../contract/settings.ts';
import { dockerCarrier, dockerError } from './docker-input.ts';
import { FileInput } from './file-input.ts';
import type { GroupKind, GroupMember } from './input-group.ts';
import { kubernetesError, podCarrier } from './kubernetes-input.ts';
import { listContainers, listFiles, listPods } from './probe-command.ts';
import { StampedInput } from './stamped-input.ts';

/** How the members of an input are found; null for an input that is one by itself. */
export function groupKind(input: LogInput, host: string): GroupKind | null {
  if (input.kind === 'files') {
    return {
      list: () => listFiles(input.pattern),
      members: filesOf,
      error: ({ code, stderr }) =>
        code === 0
          ? null
          : new HeadwayError('command-failed', `Looking for ${input.pattern} on ${host} failed: ${stderr}`),
    };
  }
  if (input.kind === 'docker-label') {
    return {
      list: () => listContainers(input.label),
      members: containersOf,
      error: ({ code, stderr }) =>
        code === 0 ? null : dockerError(`with the label ${input.label}`, host, code, stderr),
    };
  }
  if (input.kind === 'kubernetes' && input.selector !== undefined) {
    const { namespace, selector, container } = input;
    return {
      list: () => listPods(namespace, selector),
      members: (answer) =>
        linesOf(answer).map((line) => {
          const pod = line.replace(/^pod\//, '');
          const carrier = podCarrier({ namespace, pod, container });
          return { name: podName(namespace, pod), open: (options) => new StampedInput(carrier, options) };
        }),
      error: ({ code, stderr }) =>
        code === 0 ? null : kubernetesError({ namespace, pod: `pod with ${selector}` }, host, code, stderr),
    };
  }
  return null;
}

/** `pod NAME`, or `pod NAMESPACE/NAME`. */
export function podName(namespace: string | undefined, pod: string): string {
  return `pod ${namespace === undefined ? '' : `${namespace}/`}${pod}`;
}

/** Without the older parts of a rotated log: whoever follows the file itself has read them. */
export function filesOf(answer: string): GroupMember[] {
  const paths = linesOf(answer);
  const all = new Set(paths);
  const isRotated = (path: string) => {
    const base = path.replace(/[.-]\d[\d.-]*$/, '');
    return base !== path && all.has(base);
  };
  return paths
    .filter((path) => !isRotated(path))
    .map((path) => ({
      name: path,
      open: ({ isNew }) => new FileInput(path, { isNew }),
    }));
}

/** One that is made anew has another id, and is another one: its log begins again. */
function containersOf(answer: string): GroupMember[] {
  return linesOf(answer).map((line) => {
    const [id = '', name = ''] = line.split(' ');
    return {
      name: `docker ${name} (${id.slice(0, 12)})`,
      open: (options) => new StampedInput(dockerCarrier(id, name), options),
    };
  });
}

function linesOf(answer: string): string[] {
  return answer.split('\n').filter((line) => line !== '');
}
