// What the palette offers in an engine's view: its parts, and holding the whole or one kind.
import type { Hold } from '../../../contract/engine-report.ts';
import type { Action } from './keys.svelte.ts';
import { engineSections } from './route.ts';
import type { EngineSection } from './route.ts';

const partNames: Record<EngineSection, string> = {
  now: 'Workers and kinds',
  dead: 'Dead set',
  blocked: 'Blocked jobs',
  recent: 'Recent attempts',
  engines: 'Engines of the store',
};

export function engineViewActions(parts: {
  kinds: readonly { kind: string; held: boolean }[];
  heldWhole: boolean;
  show: (section: EngineSection) => void;
  /** `kind` null: everything. */
  hold: (mode: Hold['mode'], kind: string | null) => void;
  unhold: (kind: string | null) => void;
}): Action[] {
  const group = 'Engine';
  const of = (kind: string | null, held: boolean, key: string | null): Action[] => {
    const id = `engine.${kind ?? '*'}`;
    const name = kind ?? 'everything';
    return held
      ? [{ id: `${id}.resume`, group, label: `Resume ${name}`, key, run: () => parts.unhold(kind) }]
      : [
          { id: `${id}.pause`, group, label: `Pause ${name}`, key, run: () => parts.hold('pause', kind) },
          {
            id: `${id}.drain`,
            group,
            label: `Drain ${name}`,
            key: null,
            run: () => parts.hold('drain', kind),
          },
        ];
  };
  return [
    ...engineSections.map((section, index) => ({
      id: `engine.part.${section}`,
      group,
      label: partNames[section],
      key: String(index + 1),
      run: () => parts.show(section),
    })),
    ...of(null, parts.heldWhole, 'p'),
    ...parts.kinds.flatMap(({ kind, held }) => of(kind, held, null)),
  ];
}
