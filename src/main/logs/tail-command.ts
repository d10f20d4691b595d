// The scripts that follow a log input on its host. remote-script.ts says how they run.
import { BEGIN, EXPAND_HOME, exitCode, guarded, NEED, remote, type RemoteScript } from './remote-script.ts';

/** Where to go on in a file: `offset` bytes of the file with this inode are known. */
interface FilePosition {
  inode: string;
  offset: number;
}

export interface FollowOptions {
  path: string;
  /** `tail`: from the last `contextBytes`, as at the very first start; `start`: from the first byte. */
  from: FilePosition | 'tail' | 'start';
  contextBytes: number;
  /** When more than this is waiting, the oldest part is left out and reported as skipped. */
  catchUpBytes: number;
  /** Seconds between two looks at the file. */
  pollSeconds: number;
}

/**
 * Follows a file by its inode, as `tail -F` does, but exactly: every frame says which bytes of which file it holds.
 * Looking and reading are one loop, so that a truncation can never slip in between bytes already reported.
 *
 * Frames on standard output, each a line; see FrameReader:
 *   O inode start size   a file was opened, bytes follow from `start`
 *   D inode offset n     n raw bytes follow this line
 *   S n                  n bytes were left out
 *   T inode              the file shrank: it is read from its beginning again
 *   L inode              the file to go on with is gone; the present one follows from its beginning
 *   W                    there is no file yet
 */
export function followFile(options: FollowOptions): RemoteScript {
  const { path, from, contextBytes, catchUpBytes, pollSeconds } = options;
  const place = typeof from === 'object' ? [from.inode, from.offset] : ['', from === 'tail' ? 'tail' : 0];
  return remote(FOLLOW_FILE, [path, ...place, contextBytes, catchUpBytes, pollSeconds]);
}

/** Follows a container from its newest `tail` lines, or from a moment (RFC 3339, inclusive) at a reconnect. */
export function followDocker(container: string, from: { since: string } | { tail: number }): RemoteScript {
  const start = 'since' in from ? ['--since', from.since] : ['--tail', from.tail];
  return remote(FOLLOW_DOCKER, [container, ...start]);
}

export interface PodOptions {
  /** kubectl's own default when undefined. */
  namespace: string | undefined;
  pod: string;
  /** All of the pod when undefined; lines then begin with `[pod/NAME/CONTAINER] `. */
  container: string | undefined;
}

/** Follows a pod as `followDocker` does a container; kubectl cuts the moment down to its second. */
export function followPod(
  { namespace, pod, container }: PodOptions,
  from: { since: string } | { tail: number },
): RemoteScript {
  return remote(FOLLOW_POD, [
    '--timestamps',
    ...(namespace === undefined ? [] : [`--namespace=${namespace}`]),
    ...(container === undefined ? ['--all-containers=true', '--prefix=true'] : [`--container=${container}`]),
    'since' in from ? `--since-time=${from.since}` : `--tail=${from.tail}`,
    `pod/${pod}`,
  ]);
}

/** Runs a program for the lines of its output; they follow its own first one. */
export function followCommand(command: string[]): RemoteScript {
  return remote(FOLLOW_COMMAND, command);
}

/** Follows a unit of the journal, one JSON object per entry; `cursor` itself comes first at a reconnect. */
export function followJournal(unit: string, from: { cursor: string } | { tail: number }): RemoteScript {
  const start = 'cursor' in from ? ['--no-tail', `--cursor=${from.cursor}`] : ['-n', from.tail];
  const format = ['-o', 'json', '--all', '--output-fields=MESSAGE,PRIORITY', '--no-pager', '-q'];
  return remote(FOLLOW_JOURNAL, ['-u', unit, ...format, ...start]);
}

// `ls -lniLd` yields inode ($1) and size ($6) portably; on a descriptor it tells of the file that is open, whatever
// its name is by now. `dd` with one block reads exactly the bytes announced and moves the shared file position.
// A rotated file is left only when its successor has bytes and it was quiet for a second: writers keep the old file
// open until they are told to reopen it. Among names like `log.1` and `log-20260109`, the successor is the next
// younger one, so that several rotations in one absence are walked through in order; one that was compressed since
// cannot be read and counts as lost. `command` keeps a failed `exec` from ending the shell. After 40 looks in vain there is
// one look a second, which costs the host four times less.
const FOLLOW_FILE = guarded(`
LC_ALL=C; export LC_ALL; unset TIME_STYLE LS_BLOCK_SIZE BLOCK_SIZE BLOCKSIZE
look() { set -- $(ls -lniLd -- "$1" 2>/dev/null); seen=\${1-} size=\${6-0}; }
rest() {
  idle=$((idle + 1))
  if [ "$idle" -gt 40 ]; then sleep 1; else sleep "$poll" 2>/dev/null || sleep 1; fi
}
named() {
  ls -1ai -- "$dir" 2>/dev/null | while read -r i n; do
    if [ "$i" = "$1" ]; then printf '%s\\n' "$dir/$n"; break; fi
  done
}
successor() {
  { ls -1tri -- "$path" "$path"[.-][0-9]* 2>/dev/null; echo "end $path"; } | {
    found=
    while read -r i n; do
      if [ "$i" = "$inode" ]; then found=1; continue; fi
      case "$n" in *.gz|*.bz2|*.xz|*.zst)
        [ "$found" ] && printf 'L %s\\n' "$inode" >&4
        continue ;;
      esac
      case "$visited " in *" $i "*) continue ;; esac
      if [ "$found" ] || [ "$i" = end ]; then printf '%s\\n' "$n"; break; fi
    done
  }
}
open() {
  [ -e "$1" ] || return 1
  if ! [ -f "$1" ] || ! [ -r "$1" ]; then
    if [ -f "$1" ]; then echo "cannot read $1: permission denied"; else echo "$1 is not a file"; fi >&2
    exit ${exitCode.unreadable}
  fi
  { command exec 3<"$1"; } 2>/dev/null || return 1
  look /dev/fd/3
  inode=$seen off=$2 quiet=0 visited="$visited $seen"
  if [ "$off" = tail ]; then
    off=0
    [ "$size" -gt "$context" ] && off=$((size - context))
  fi
  if [ "$off" -gt "$size" ]; then
    printf 'T %s\\n' "$inode"
    off=0
  elif [ $((size - off)) -gt "$catchup" ]; then
    printf 'S %s\\n' $((size - catchup - off))
    off=$((size - catchup))
  fi
  printf 'O %s %s %s\\n' "$inode" "$off" "$size"
  dd bs=1 skip="$off" count=0 <&3 2>/dev/null
}
drain() {
  while look /dev/fd/3; [ "$size" -gt "$off" ]; do
    n=$((size - off))
    [ "$n" -gt 262144 ] && n=262144
    printf 'D %s %s %s\\n' "$inode" "$off" "$n"
    r=$(dd bs="$n" count=1 <&3 2>&1 >&4)
    case "$r" in 1+0*) ;; *) exit ${exitCode.changed} ;; esac
    off=$((off + n)) quiet=0 idle=0
  done
  [ "$size" -ge "$off" ] && return
  printf 'T %s\\n' "$inode"
  open /dev/fd/3 0
}
wait_for() {
  open "$path" "$1" && return
  echo W
  until open "$path" 0; do rest; done
}
start() {
  if [ -z "$inode" ]; then wait_for "$off"; return; fi
  look "$path"
  if [ "$seen" = "$inode" ]; then open "$path" "$off"; return; fi
  old=$(named "$inode")
  [ "$old" ] && open "$old" "$off" && return
  printf 'L %s\\n' "$inode"
  wait_for 0
}
main() {
  echo ${BEGIN} >&2
  path=$1 inode=$2 off=$3 context=$4 catchup=$5 poll=$6 visited= idle=0
  echo ${BEGIN}
${EXPAND_HOME}
  case "$path" in */*) ;; *) path=./$path ;; esac
  dir=\${path%/*}/
  start
  while :; do
    drain
    look "$path"
    if [ "$seen" ] && [ "$seen" != "$inode" ] && [ "$size" -gt 0 ]; then
      quiet=$((quiet + 1))
      if [ "$quiet" -gt 4 ]; then
        drain
        open "$(successor)" 0 || open "$path" 0
        continue
      fi
    fi
    rest
  done
}`);

// Docker hands a container's stderr to its own stderr; both are the container's log. The client's own complaints
// are told apart by having no timestamp.
const FOLLOW_DOCKER = guarded(`${NEED}
main() {
  echo ${BEGIN} >&2
  need docker
  docker inspect --type container --format '{{.Id}}' -- "$1" >/dev/null || exit 1
  echo ${BEGIN}
  container=$1
  shift
  docker logs -f --timestamps "$@" -- "$container" 2>&1 &
  job=$!
  wait "$job"
}`);

const FOLLOW_JOURNAL = guarded(`${NEED}
main() {
  echo ${BEGIN} >&2
  need journalctl
  echo ${BEGIN}
  journalctl -f "$@" &
  job=$!
  wait "$job"
}`);

const FOLLOW_POD = guarded(`${NEED}
main() {
  echo ${BEGIN} >&2
  need kubectl
  echo ${BEGIN}
  kubectl logs -f "$@" 2>&1 &
  job=$!
  wait "$job"
}`);

const FOLLOW_COMMAND = guarded(`
main() {
  echo ${BEGIN} >&2
  echo ${BEGIN}
  "$@" &
  job=$!
  wait "$job"
}`);
