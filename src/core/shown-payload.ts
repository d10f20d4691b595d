// What a person may see of a payload: fields that its kind names and fields that look like secrets are blacked out, and
// a long one is cut. It works on the text, because a payload may be 50 MB and its beginning is no valid JSON.
import { visit } from 'jsonc-parser';

/** What stands in place of a value that is not shown. */
const REDACTED = '"redacted"';
/** Shown at most, in characters; also the most that is read of a payload. */
export const PAYLOAD_SHOWN_CHARS = 64 * 1024;

/** Names of fields whose value is never shown, whatever the kind says. */
const SECRET_NAME = /pass(word|wd|phrase)|secret|authori[sz]ation|credential|api[-_]?key|token$/i;

export interface ShownPayload {
  /** JSON, or its beginning. */
  text: string;
  shortened: boolean;
}

/**
 * `text`: a payload as JSON, or its beginning when it is longer than `limitChars`. `paths`: the fields to black out, as
 * "user.email" or "items.*.token"; `*` stands for any name or position.
 */
export function shownPayload(
  text: string,
  paths: readonly string[],
  limitChars = PAYLOAD_SHOWN_CHARS,
): ShownPayload {
  const shortened = text.length > limitChars;
  const begin = text.slice(0, limitChars);
  const spans = hiddenSpans(
    begin,
    paths.map((path) => path.split('.')),
  );
  if (spans === null) return { text: '', shortened: true };
  let shown = '';
  let at = 0;
  for (const [from, to] of spans) {
    shown += begin.slice(at, from) + REDACTED;
    at = to;
  }
  return { text: shown + begin.slice(at), shortened };
}

type Path = readonly (string | number)[];

/** Where hidden values stand, in order; one that is cut off reaches to the end. Null when it is nested too deep to read. */
function hiddenSpans(text: string, patterns: readonly string[][]): [from: number, to: number][] | null {
  const spans: [number, number][] = [];
  /** Depth within a hidden object or list; 0 outside. */
  let hiddenDepth = 0;
  const isHidden = (path: Path): boolean =>
    SECRET_NAME.test(String(path.at(-1))) || patterns.some((pattern) => matches(pattern, path));
  const begin = (offset: number, path: Path): void => {
    if (hiddenDepth > 0) hiddenDepth += 1;
    else if (isHidden(path)) {
      hiddenDepth = 1;
      spans.push([offset, text.length]);
    }
  };
  const end = (offset: number, length: number): void => {
    const span = spans.at(-1);
    if (hiddenDepth > 0 && (hiddenDepth -= 1) === 0 && span) span[1] = offset + length;
  };
  try {
    visit(text, {
      onObjectBegin: (offset, _length, _line, _column, path) => begin(offset, path()),
      onArrayBegin: (offset, _length, _line, _column, path) => begin(offset, path()),
      onObjectEnd: end,
      onArrayEnd: end,
      onLiteralValue: (_value, offset, length, _line, _column, path) => {
        if (hiddenDepth === 0 && isHidden(path())) spans.push([offset, offset + length]);
      },
    });
  } catch (error) {
    // The parser recurses; a payload of nothing but brackets is nobody's to read.
    if (error instanceof RangeError) return null;
    throw error;
  }
  return spans;
}

function matches(pattern: readonly string[], path: Path): boolean {
  return (
    pattern.length === path.length && pattern.every((part, i) => part === '*' || part === String(path[i]))
  );
}
