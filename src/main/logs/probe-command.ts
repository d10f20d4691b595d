// The scripts that ask a log host once: whether an input can be read, and which ones there are. remote-script.ts says
// how they run.
import type { LogInput } from '../../contract/settings.ts';
import { EXPAND_HOME, exitCode, probe, remote, type RemoteScript } from './remote-script.ts';

/** Runs what a test of an input needs to know: exit 0 and a word, or an exit code and why on stderr. */
export function probeInput(input: LogInput): RemoteScript {
  switch (input.kind) {
    case 'file':
      return remote(PROBE_FILE, [input.path]);
    case 'docker':
      return remote(PROBE_DOCKER, [input.container]);
    case 'journal':
      return remote(PROBE_JOURNAL, [input.unit]);
    case 'files':
      return listFiles(input.pattern);
    case 'docker-label':
      return listContainers(input.label);
    case 'kubernetes':
      return input.pod === undefined
        ? listPods(input.namespace, input.selector ?? '')
        : remote(PROBE_POD, [...inNamespace(input.namespace), `pod/${input.pod}`]);
    case 'command':
      return remote(PROBE_COMMAND, input.command.slice(0, 1));
  }
}

/** Paths of the files that a pattern names, newest first, one on a line; compressed ones are left out. */
export function listFiles(pattern: string): RemoteScript {
  return remote(LIST_FILES, [pattern]);
}

/** `ID NAME` of each running container with the label. */
export function listContainers(label: string): RemoteScript {
  return remote(LIST_CONTAINERS, [`label=${label}`]);
}

/** `pod/NAME` of each pod that the selector finds. */
export function listPods(namespace: string | undefined, selector: string): RemoteScript {
  return remote(LIST_PODS, [...inNamespace(namespace), `--selector=${selector}`]);
}

function inNamespace(namespace: string | undefined): string[] {
  return namespace === undefined ? [] : [`--namespace=${namespace}`];
}

const PROBE_FILE = probe(`
  path=$1
${EXPAND_HOME}
  set -- "$path"
  if ! [ -e "$1" ]; then
    ls -d -- "$1"
    exit ${exitCode.missing}
  fi
  if ! [ -f "$1" ]; then echo "it is not a file" >&2; exit ${exitCode.unreadable}; fi
  if ! [ -r "$1" ]; then echo "permission denied" >&2; exit ${exitCode.unreadable}; fi
  wc -c <"$1"`);

const PROBE_DOCKER = probe(`
  need docker
  docker inspect --type container --format '{{.State.Status}}' -- "$1"`);

const PROBE_JOURNAL = probe(`
  need journalctl
  journalctl -u "$1" -n 1 -o short-iso --no-pager -q`);

// An empty IFS keeps blanks in the pattern from splitting it; what is left of expansion is the pattern itself.
const LIST_FILES = probe(`
  path=$1
${EXPAND_HOME}
  IFS=
  ls -1td -- $path 2>/dev/null | while read -r file; do
    case "$file" in *.gz|*.bz2|*.xz|*.zst) continue ;; esac
    if [ -f "$file" ]; then printf '%s\\n' "$file"; fi
  done`);

const LIST_CONTAINERS = probe(`
  need docker
  docker ps --filter "$1" --format '{{.ID}} {{.Names}}'`);

const LIST_PODS = probe(`
  need kubectl
  kubectl get pods --output=name "$@"`);

const PROBE_POD = probe(`
  need kubectl
  kubectl get --output=name "$@"`);

const PROBE_COMMAND = probe(`
  need "$1"`);
