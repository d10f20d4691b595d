/**
 * How well `query` fits `text`: its letters in order, better when together and at the start of words; null when
 * it does not fit. An empty query fits everything with 0.
 */
export function fuzzyScore(query: string, text: string): number | null {
  const needle = query.toLowerCase().replaceAll(' ', '');
  const hay = text.toLowerCase();
  let score = 0;
  let from = 0;
  let last = -2;
  for (const letter of needle) {
    const at = hay.indexOf(letter, from);
    if (at < 0) return null;
    if (at === last + 1) score += 3;
    if (at === 0 || !/[a-z0-9]/.test(hay[at - 1] ?? '')) score += 2;
    score -= Math.min(at - from, 8) * 0.1;
    last = at;
    from = at + 1;
  }
  const together = hay.replaceAll(' ', '').includes(needle) ? 4 : 0;
  return score + together - hay.length * 0.01;
}
