// Names that somebody may have meant. Pure.
import { snakeCase } from './state-words.ts';

/** The names most like one that is not there, at most `atMost`, the nearest first. */
export function nearNames(wanted: string, names: readonly string[], atMost = 3): string[] {
  const bare = (name: string) => snakeCase(name.slice(name.indexOf('.') + 1));
  const target = bare(wanted);
  return names
    .map((name) => ({ name, far: distance(target, bare(name)) }))
    .filter(({ far }) => far <= Math.max(1, Math.floor(target.length / 3)))
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, atMost)
    .map(({ name }) => name);
}

/** Edits from one to the other; a name within the other counts for little. */
function distance(a: string, b: string): number {
  if (a === b) return 0;
  if (a.length > 2 && b.length > 2 && (a.includes(b) || b.includes(a))) return 1;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [at, letter] of Array.from(a).entries()) {
    const next = [at + 1];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = letter === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
