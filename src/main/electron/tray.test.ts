import { expect, test } from 'vitest';
import { FakeTray } from './fake-electron.ts';
import { TrayIcon } from './tray.ts';

function makeTray(platform: NodeJS.Platform = 'linux') {
  const shown: (string | null)[] = [];
  const badges: number[] = [];
  const made: FakeTray[] = [];
  let quits = 0;
  const icon = new TrayIcon({
    create: (image: string) => {
      const tray = new FakeTray(image);
      made.push(tray);
      return tray;
    },
    image: (state) => `${state}.png`,
    buildMenu: (template) => template,
    setBadge: (count) => badges.push(count),
    platform,
    show: (path) => shown.push(path),
    quit: () => (quits += 1),
  });
  const [tray] = made;
  if (tray === undefined) throw new Error('no tray was made');
  const click = (label: string) => {
    const item = tray.menu.find((entry) => entry.label === label);
    // The items of Headway's menu use none of the arguments.
    (item?.click as (() => void) | undefined)?.();
  };
  return { icon, tray, shown, badges, click, quits: () => quits };
}

test('icon, words and badge follow the worst alert', () => {
  const { icon, tray, badges } = makeTray();
  expect([tray.image, tray.tooltip]).toEqual(['normal.png', 'Headway. No alert fires']);
  icon.setWorst('warning', 1);
  expect([tray.image, tray.tooltip]).toEqual(['warning.png', 'Headway. Warning: 1 alert fires']);
  icon.setWorst('critical', 3);
  expect([tray.image, tray.tooltip]).toEqual(['critical.png', 'Headway. Critical: 3 alerts fire']);
  icon.setWorst(null, 0);
  expect(tray.image).toBe('normal.png');
  expect(badges).toEqual([0, 1, 3, 0]);
});

test('the icon is not set again while nothing changes', () => {
  const { icon, tray } = makeTray();
  icon.setWorst('critical', 3);
  const { imagesSet } = tray;
  icon.setWorst('critical', 3);
  expect(tray.imagesSet).toBe(imagesSet);
});

test('a click opens the window, its menu the alerts, the window, and the way out', () => {
  const { icon, tray, shown, click, quits } = makeTray();
  icon.setWorst('critical', 3);
  tray.emit('click');
  click('Critical: 3 alerts fire');
  click('Open Headway');
  click('Quit and stop watching');
  expect(shown).toEqual([null, '/alerts', null]);
  expect(quits()).toBe(1);
});

test('on macOS a click is left to the menu', () => {
  const { tray, shown } = makeTray('darwin');
  tray.emit('click');
  expect(shown).toEqual([]);
});
