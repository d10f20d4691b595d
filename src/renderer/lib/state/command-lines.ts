// A command as a form holds it: the program and its arguments, one a line, never a shell string. Pure.

/**
 * Arguments as lines. One that a line cannot hold as it is (empty, with a line break, with blanks at its ends, or
 * beginning with a quotation mark) is written as a JSON string.
 */
export function commandLines(command: readonly string[]): string {
  return command
    .map((argument) =>
      argument === '' || /^"|[\n\r]|^\s|\s$/.test(argument) ? JSON.stringify(argument) : argument,
    )
    .join('\n');
}

/** The inverse of commandLines; empty lines count for nothing. */
export function commandOf(text: string): string[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')
    .map((line) => {
      if (!line.startsWith('"')) return line;
      try {
        const value: unknown = JSON.parse(line);
        return typeof value === 'string' ? value : line;
      } catch {
        return line;
      }
    });
}

/** What looks like a habit of the shell in a command, in words; null when nothing does. */
export function shellHabit(command: readonly string[]): string | null {
  const [program = '', ...rest] = command;
  if (rest.length === 0 && /\S\s+\S/.test(program))
    return 'One line is one argument: this looks for a program with blanks in its name. Give each argument a line of its own.';
  const sign = rest.find((argument) => /^(?:[|&;<>]+|&&|\|\||>>|2>&1)$/.test(argument));
  return sign === undefined
    ? null
    : `“${sign}” reaches the program as it stands: there is no shell that would act on it.`;
}
