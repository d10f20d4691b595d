import { expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import type { Rehearsal } from '../../../contract/rehearsal.ts';
import { rehearsalActions } from './rehearsal-actions.ts';
import { RehearsalState } from './rehearsal.svelte.ts';
import { TestBackend } from './test-backend.ts';

const played: Rehearsal = {
  incident: 3,
  library: [
    { incident: 1, title: 'Head-of-line blocking' },
    { incident: 3, title: 'A hanging script' },
  ],
  story: 'A script hangs.',
  speed: 60,
  expectedMs: null,
  switches: [
    {
      id: 'timeouts',
      label: 'Timeouts',
      value: 'off',
      options: [
        { value: 'off', label: 'off' },
        { value: 'on', label: 'on' },
      ],
    },
  ],
  action: { label: 'Hang the script', hint: '' },
  nextAtMs: null,
  canaryTenants: [],
};

it('turns one switch, plays another incident, makes it happen', async () => {
  const backend = new TestBackend();
  backend.answer = () => ({ ...played, incident: 1 });
  const rehearsal = new RehearsalState(backend);
  backend.snapshot('rehearsal', played);
  expect(rehearsal.now?.incident).toBe(3);
  await rehearsal.turn('timeouts', 'on');
  await rehearsal.play(1);
  await rehearsal.act();
  expect(backend.calls).toEqual([
    { method: 'rehearsal.set', input: { switches: { timeouts: 'on' } } },
    { method: 'rehearsal.set', input: { incident: 1 } },
    { method: 'rehearsal.act', input: {} },
  ]);
  expect(rehearsal.now?.incident).toBe(1);
});

it('says what was refused, and leaves the rest as it was', async () => {
  const backend = new TestBackend();
  backend.answer = () => {
    throw new HeadwayError('not-found', 'No rehearsal is played.');
  };
  const rehearsal = new RehearsalState(backend);
  backend.snapshot('rehearsal', played);
  await rehearsal.act();
  expect(rehearsal.problem).toBe('No rehearsal is played.');
  expect(rehearsal.now).toEqual(played);
});

it('offers the palette what is not so already', () => {
  const done: string[] = [];
  const state = {
    play: (incident: number) => Promise.resolve(void done.push(`play ${incident}`)),
    turn: (id: string, value: string) => Promise.resolve(void done.push(`${id} ${value}`)),
    act: () => Promise.resolve(void done.push('act')),
  };
  const actions = rehearsalActions(played, state);
  expect(actions.map(({ label }) => label)).toEqual([
    'Hang the script',
    'Rehearse incident 1: Head-of-line blocking',
    'Timeouts: on',
  ]);
  for (const { run } of actions) run();
  expect(done).toEqual(['act', 'play 1', 'timeouts on']);
});
