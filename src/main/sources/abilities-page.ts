// docs/abilities.md from what the sources declare. Pure.
import { actionSchema, factSchema, type Capabilities } from '../../contract/capabilities.ts';

type Source = { name: string; capabilities: Capabilities };

const factWords = { exact: 'yes', bounded: 'bounded', no: '–' } as const;

/** Markdown: two tables of sources by what they tell and what can be done, then each source in its own words. */
export function abilitiesPage(sources: readonly Source[]): string {
  const facts = table(
    ['', ...factSchema.options],
    sources.map(({ name, capabilities }) => [
      name,
      ...factSchema.options.map((fact) => factWords[capabilities.facts[fact].kind]),
    ]),
  );
  const actions = table(
    ['', ...actionSchema.options],
    sources.map(({ name, capabilities }) => [
      name,
      ...actionSchema.options.map((action) => {
        const { support, durable, coversNewArrivals } = capabilities.actions[action];
        if (support === 'none') return '–';
        return [support, ...(durable ? [] : ['passing']), ...(coversNewArrivals ? ['new too'] : [])].join(
          ', ',
        );
      }),
    ]),
  );
  return `# What each source tells, and what can be done to it

<!-- Written by \`npm run docs:abilities\` from the sources' own declarations. Do not edit. -->

What is found in a database may be less: an older version, a missing index or grant. The window's Database view
shows what holds for a connection.

## Facts

\`yes\`: exact; \`bounded\`: may be "at least" or an estimate, and is shown as such; –: the system does not tell.

${facts}

## Actions

\`native\`: the system has it; \`protocol\`: by the system's own statements; \`emulated\`: by changing rows in a way
that the system does not know of; –: not safely. \`passing\`: ends with Headway or the workers; \`new too\`: holds for jobs
that arrive afterwards.

${actions}

${sources.map(inItsWords).join('\n\n')}
`;
}

function inItsWords({ name, capabilities: { facts, actions } }: Source): string {
  const said = factSchema.options.flatMap((fact) =>
    facts[fact].note === '' ? [] : [`- **${fact}** (${factWords[facts[fact].kind]}): ${facts[fact].note}`],
  );
  const done = actionSchema.options.map((action) => {
    const { support, how, hazards } = actions[action];
    return `- **${action}** (${support}): ${[how, ...hazards].join(' ')}`;
  });
  return [`## ${name}`, '', ...said, '', ...done].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
