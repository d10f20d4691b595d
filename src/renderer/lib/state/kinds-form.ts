// The jobs of this computer as the form holds them: text in fields. Pure: from settings to fields and back, and what is wrong.
import { engineSettingsSchema } from '../../../contract/job-kinds.ts';
import type { EngineSettings } from '../../../contract/job-kinds.ts';
import { numberOf } from './form-text.ts';
import { kindFieldsOf, kindOf } from './kind-form.ts';
import type { KindFields } from './kind-form.ts';
import { wordsFor } from './form-words.ts';
import type { Problems } from './form-words.ts';

export interface TenantFields {
  key: number;
  id: string;
  weight: string;
  cap: string;
}
export interface EngineFields {
  workers: string;
  order: EngineSettings['order'];
  stopSeconds: string;
  tenants: TenantFields[];
  kinds: KindFields[];
}

let lastKey = 0;
export const newTenant = (): TenantFields => ({ key: ++lastKey, id: '', weight: '1', cap: '' });

export function engineFieldsOf(settings: EngineSettings): EngineFields {
  return {
    workers: String(settings.workers),
    order: settings.order,
    stopSeconds: String(settings.stopSeconds),
    tenants: Object.entries(settings.tenants).map(([id, { weight, cap }]) => ({
      key: ++lastKey,
      id,
      weight: String(weight),
      cap: cap === undefined ? '' : String(cap),
    })),
    kinds: settings.kinds.map(kindFieldsOf),
  };
}

/** The settings that the fields stand for; null while something is wrong with them. */
export function readEngineFields(fields: EngineFields): {
  settings: EngineSettings | null;
  problems: Problems;
} {
  const problems: Record<string, string> = {};
  const tenants: Record<string, unknown> = {};
  for (const { id: typed, weight, cap } of fields.tenants) {
    const id = typed.trim();
    if (id === '') problems['tenants.'] = 'Needed';
    else if (id in tenants) problems[`tenants.${id}`] = 'This tenant stands here twice';
    tenants[id] = {
      weight: numberOf(weight),
      ...(cap.trim() !== '' && { cap: numberOf(cap) }),
    };
  }
  const kinds = fields.kinds.map((kind, index) => {
    const { draft, problems: own } = kindOf(kind);
    for (const [path, words] of Object.entries(own)) problems[`kinds.${index}.${path}`] = words;
    return draft;
  });
  const parsed = engineSettingsSchema.safeParse({
    workers: numberOf(fields.workers),
    order: fields.order,
    stopSeconds: numberOf(fields.stopSeconds),
    tenants,
    kinds,
  });
  for (const issue of parsed.error?.issues ?? []) problems[issue.path.join('.')] ??= wordsFor(issue);
  const settings = parsed.success && Object.keys(problems).length === 0 ? parsed.data : null;
  return { settings, problems };
}

/** The problem of a field: of its own path, or of something within it. */
export function problemAt(problems: Problems, path: string): string | undefined {
  return problems[path] ?? Object.entries(problems).find(([known]) => known.startsWith(`${path}.`))?.[1];
}
