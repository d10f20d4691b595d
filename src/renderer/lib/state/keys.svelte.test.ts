import { beforeEach, expect, it } from 'vitest';
import { KeyMap, keyCaps } from './keys.svelte.ts';

let nowMs = 0;
let ran: string[] = [];
let keys: KeyMap;
const action = (id: string, key: string | null) => ({
  id,
  label: id,
  group: 'Test',
  key,
  run: () => ran.push(id),
});
function press(key: string, more: { ctrlKey?: boolean; target?: object } = {}): boolean {
  return keys.handle({
    key,
    ctrlKey: more.ctrlKey ?? false,
    metaKey: false,
    altKey: false,
    target: (more.target ?? null) as EventTarget | null,
    preventDefault: () => undefined,
  });
}
const field = { tagName: 'INPUT', type: 'text', isContentEditable: false };

beforeEach(() => {
  nowMs = 10_000;
  ran = [];
  keys = new KeyMap(() => nowMs);
  keys.register([
    action('overview', 'g o'),
    action('alerts', 'g a'),
    action('filter', '/'),
    action('palette', 'Mod+k'),
  ]);
});

it('runs a sequence when its second key follows in time, and shows what waits', () => {
  expect(press('g')).toBe(true);
  expect(keys.pending).toBe('g');
  nowMs += 900;
  press('a');
  expect(ran).toEqual(['alerts']);
  expect(keys.pending).toBe('');
});

it('forgets the first key of a sequence after a second', () => {
  press('g');
  nowMs += 1_001;
  expect(press('o')).toBe(false);
  expect(ran).toEqual([]);
});

it('takes a key that ends no sequence for itself', () => {
  press('g');
  press('/');
  expect(ran).toEqual(['filter']);
});

it('leaves letters to a field, but not Mod+k', () => {
  expect(press('/', { target: field })).toBe(false);
  press('K', { ctrlKey: true, target: field });
  expect(ran).toEqual(['palette']);
});

it('is not kept from a checkbox', () => {
  press('/', { target: { ...field, type: 'checkbox' } });
  expect(ran).toEqual(['filter']);
});

it('leaves all but Mod+… to an open dialog', () => {
  keys.suspended = true;
  expect(press('/')).toBe(false);
  expect(press('Escape')).toBe(false);
  press('k', { ctrlKey: true });
  expect(ran).toEqual(['palette']);
});

it('lets the latest registration win a key, and gives it back', () => {
  const giveBack = keys.register([action('view-filter', '/')]);
  press('/');
  giveBack();
  press('/');
  expect(ran).toEqual(['view-filter', 'filter']);
});

it('writes keys as the system does', () => {
  expect(keyCaps('Mod+k', true)).toEqual(['⌘K']);
  expect(keyCaps('Mod+k', false)).toEqual(['Ctrl K']);
  expect(keyCaps('g o', false)).toEqual(['g', 'o']);
  expect(keyCaps('ArrowDown', false)).toEqual(['↓']);
});

it('leaves Enter and Space to the button or link that has the focus', () => {
  keys.register([action('open', 'Enter'), action('peek', 'Space')]);
  for (const tagName of ['BUTTON', 'A']) {
    expect(press('Enter', { target: { tagName } })).toBe(false);
    expect(press(' ', { target: { tagName } })).toBe(false);
    expect(press('/', { target: { tagName } })).toBe(true);
  }
  expect(press('Enter', { target: { tagName: 'DIV' } })).toBe(true);
  expect(ran).toEqual(['filter', 'filter', 'open']);
});
