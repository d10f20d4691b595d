// Writes docs/abilities.md from what the sources declare: `npm run docs:abilities`.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { abilitiesPage } from '../src/main/sources/abilities-page.ts';
import { declaredSources } from '../src/main/sources/abilities.ts';

const file = join(import.meta.dirname, '..', 'docs', 'abilities.md');
const options = await resolveConfig(file);
await writeFile(file, await format(abilitiesPage(declaredSources), { ...options, parser: 'markdown' }));
