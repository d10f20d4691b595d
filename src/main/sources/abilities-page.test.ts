import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { expect, it } from 'vitest';
import { abilitiesPage } from './abilities-page.ts';
import { declaredSources } from './abilities.ts';

it('docs/abilities.md is what the sources declare', async () => {
  const file = join(import.meta.dirname, '..', '..', '..', 'docs', 'abilities.md');
  const options = await resolveConfig(file);
  const page = await format(abilitiesPage(declaredSources), { ...options, parser: 'markdown' });
  expect(await readFile(file, 'utf8'), 'run `npm run docs:abilities`').toBe(page);
});

it('every sentence is one', () => {
  for (const { name, capabilities } of declaredSources) {
    const sentences = [
      ...Object.values(capabilities.facts).map(({ note }) => note),
      ...Object.values(capabilities.actions).flatMap(({ how, hazards }) => [how, ...hazards]),
    ];
    for (const sentence of sentences) if (sentence !== '') expect(sentence, name).toMatch(/[.”"]$/);
  }
});
