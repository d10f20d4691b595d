// What the palette offers while a rehearsal is played: other incidents, the switches, and making it happen.
import type { Rehearsal } from '../../../contract/rehearsal.ts';
import type { Action } from './keys.svelte.ts';
import type { RehearsalState } from './rehearsal.svelte.ts';

export function rehearsalActions(
  now: Rehearsal,
  state: Pick<RehearsalState, 'play' | 'turn' | 'act'>,
): Action[] {
  const group = 'Rehearsal';
  return [
    { id: 'rehearsal.act', group, label: now.action.label, key: 'b', run: () => void state.act() },
    ...now.library
      .filter(({ incident }) => incident !== now.incident)
      .map(({ incident, title }) => ({
        id: `rehearsal.play.${incident}`,
        group,
        label: `Rehearse incident ${incident}: ${title}`,
        key: null,
        run: () => void state.play(incident),
      })),
    ...now.switches.flatMap(({ id, label, value, options }) =>
      options
        .filter((option) => option.value !== value)
        .map((option) => ({
          id: `rehearsal.turn.${id}.${option.value}`,
          group,
          label: `${label}: ${option.label}`,
          key: null,
          run: () => void state.turn(id, option.value),
        })),
    ),
  ];
}
