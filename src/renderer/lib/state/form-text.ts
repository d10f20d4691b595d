// The text of a form's fields as the values it stands for.

/** NaN for what is no number, for the schema to refuse. */
export const numberOf = (text: string): number =>
  text.trim() === '' ? NaN : Number(text.trim().replace(',', '.'));

/** What stands between commas or on lines of its own. */
export const listOf = (text: string): string[] =>
  text
    .split(/[,\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** Only what was filled in. */
export const filled = <Name extends string>(texts: Record<Name, string>): Partial<Record<Name, string>> => {
  const entries = (Object.entries(texts) as [Name, string][])
    .map(([name, text]) => [name, text.trim()] as const)
    .filter(([, text]) => text !== '');
  // The names are those that came in.
  return Object.fromEntries(entries) as Partial<Record<Name, string>>;
};
