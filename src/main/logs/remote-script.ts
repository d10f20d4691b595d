// The commands that run on a log host: POSIX sh, so that Debian's dash and busybox understand them.
//
// A script is sent through the standard input of `sh -s`, for two reasons: `ps` on the host shows the arguments and
// not a page of script, and the login shell's quoting rules never meet it. After the script the input stays open;
// its end (channel closed, connection cut, laptop gone) ends the script and all it started. sh hands /dev/null to
// the standard input of background jobs, which is why each script keeps a duplicate of it on descriptor 5.
/** What to send: the command line, and the script for its standard input. */
export interface RemoteScript {
  command: string;
  script: string;
}

/** One argument for a POSIX shell; nothing in it is ever interpreted. */
export function quote(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}

/** The first line of every script's output and of its stderr: what stands before is the login shell's own. */
export const BEGIN = 'headway:begin';

/** A script and its arguments, which reach it as they are. */
export function remote(script: string, args: (string | number)[]): RemoteScript {
  return { command: ['exec sh -s --', ...args.map((arg) => quote(String(arg)))].join(' '), script };
}

/** Exit codes of the scripts, beside sh's own. */
export const exitCode = {
  /** The file is there and cannot be read (sysexits' EX_NOPERM). */
  unreadable: 77,
  /** The file shrank while it was read (EX_TEMPFAIL). */
  changed: 75,
  /** There is no such file yet (EX_NOINPUT). */
  missing: 66,
  commandNotFound: 127,
} as const;

// The path reaches sh in quotes, which keep its tilde from it.
export const EXPAND_HOME = '  case "$path" in "~/"*) path=$HOME/${path#*/} ;; esac';

// Runs `main` with its input's end as the end of everything. The braces make sh read the script to its end before
// any of it runs: it comes through the very input that is then handed to the watcher.
export const guarded = (functions: string): string => `${functions}
{
  exec 4>&1 5<&0 0</dev/null
  self=$$ job=
  ( while read -r _; do :; done <&5; kill -TERM "$self" ) 4>&- >/dev/null 2>&1 &
  watcher=$!
  exec 5<&-
  trap 'kill "$watcher" $job 2>/dev/null' EXIT
  trap 'exit 0' TERM HUP INT PIPE
  main "$@"
  exit
}
`;

/** `need NAME` ends a script when there is no such command. */
export const NEED = `
need() {
  command -v "$1" >/dev/null && return
  echo "$1: command not found" >&2
  exit ${exitCode.commandNotFound}
}`;

// A probe answers and ends by itself; its commands must not read what is left of the script.
export const probe = (body: string): string => `${NEED}
main() {
  echo ${BEGIN} >&2
  echo ${BEGIN}
${body}
}
{ main "$@" </dev/null; exit; }
`;
