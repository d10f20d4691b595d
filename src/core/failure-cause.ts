// What jobs that failed alike have in common: the message without what differs from job to job.

const LONGEST = 200;

/** In this order: a timestamp holds numbers, a URL's path holds ids. */
const differing: [RegExp, string][] = [
  [/[\r\n][^]*$/, ''],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>'],
  [/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?/g, '<time>'],
  [/(https?:\/\/[^\s/?#"']+)[^\s"']*/gi, '$1/…'],
  [/[\w.+-]+@[\w-]+(\.[\w-]+)+/g, '<address>'],
  [/"(?:[^"\\]|\\.)*"/g, '"…"'],
  [/'(?:[^'\\]|\\.)*'/g, "'…'"],
  [/\b0x[0-9a-f]+\b/gi, '<hex>'],
  [/\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b/gi, '<id>'],
  // Codes of three digits (HTTP, SMTP) tell causes apart; other numbers are counts, ids, sizes.
  [/(?<![\w.])\d{4,}(\.\d+)?|(?<![\w.])\d{1,2}(?![\w.]*\d)(?!\d)/g, '#'],
];

/** The cause of an error message: one line, at most 200 characters, never empty. */
export function causeOf(message: string): string {
  let cause = message.slice(0, 10 * LONGEST);
  for (const [pattern, placeholder] of differing) cause = cause.replace(pattern, placeholder);
  cause = cause.replace(/\s+/g, ' ').trim();
  return cause === '' ? 'no message' : cause.slice(0, LONGEST);
}
