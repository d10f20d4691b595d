import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppWindow } from './app-window.ts';
import { FakeWindow } from './fake-electron.ts';
import { fitBounds } from './window-bounds.ts';

const laptop = { x: 0, y: 25, width: 1440, height: 875 };
const beside = { x: 1440, y: 0, width: 2560, height: 1440 };

describe('where the window opens', () => {
  test('in the middle of the first screen, the first time', () => {
    expect(fitBounds(null, [beside])).toEqual({ x: 2000, y: 270, width: 1440, height: 900 });
  });
  test('as it was left', () => {
    const saved = { x: 1600, y: 100, width: 1200, height: 800 };
    expect(fitBounds(saved, [laptop, beside])).toEqual(saved);
  });
  test('on the first screen when its own is gone', () => {
    expect(fitBounds({ x: 1600, y: 100, width: 1200, height: 800 }, [laptop])).toEqual(laptop);
  });
  test('cut and moved so that all of it can be seen', () => {
    expect(fitBounds({ x: 1000, y: -300, width: 3000, height: 900 }, [laptop])).toEqual({
      x: 0,
      y: 25,
      width: 1440,
      height: 875,
    });
  });
});

describe('the window', () => {
  let directory: string;
  let made: FakeWindow[];
  let nowMs: number;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'headway-window-'));
    made = [];
    nowMs = 0;
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const make = () =>
    new AppWindow({
      create: (options) => {
        const window = new FakeWindow(options);
        made.push(window);
        return window;
      },
      workAreas: () => [laptop, beside],
      darkBackground: () => true,
      stateFile: join(directory, 'window.json'),
      preload: '/preload.cjs',
      icon: null,
      baseUrl: 'headway://app',
      nowMs: () => nowMs,
      logger: { warn: () => undefined, error: () => undefined },
    });

  test('is sandboxed and isolated', () => {
    make().show(null);
    expect(made[0]?.options.webPreferences).toMatchObject({
      preload: '/preload.cjs',
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      webviewTag: false,
      webSecurity: true,
      backgroundThrottling: true,
    });
  });

  test('is shown when there is something to see, and comes back where a notification points', () => {
    const window = make();
    window.show('/alerts');
    expect([made[0]?.options.show, made[0]?.shown]).toEqual([false, 0]);
    made[0]?.emit('ready-to-show');
    expect(made[0]?.shown).toBe(1);
    if (made[0] !== undefined) made[0].minimized = true;
    window.show('/connection/postal/tenant/3');
    expect(made[0]?.loaded).toEqual(['headway://app/alerts', 'headway://app/connection/postal/tenant/3']);
    expect([made[0]?.minimized, made[0]?.focused]).toEqual([false, 1]);
    window.show(null);
    expect(made[0]?.loaded).toHaveLength(2);
  });

  test('opens again after it was closed, as it was left', () => {
    const window = make();
    window.show(null);
    const [first] = made;
    if (first === undefined) throw new Error('no window');
    first.bounds = { x: 1500, y: 50, width: 1300, height: 700 };
    first.maximized = true;
    first.userCloses();
    expect(window.isOpen).toBe(false);
    make().show(null);
    expect(made[1]?.options).toMatchObject({ x: 1500, y: 50, width: 1300, height: 700 });
    made[1]?.emit('ready-to-show');
    expect(made[1]?.maximized).toBe(true);
  });

  test('a spoilt file of its place does no harm', async () => {
    await writeFile(join(directory, 'window.json'), '{"bounds": {"x": "left"}}');
    make().show(null);
    expect(made[0]?.options).toMatchObject({ width: 1440, height: 875 });
  });

  test('a page that crashed is loaded anew, but not without end', () => {
    make().show('/alerts');
    for (let crash = 0; crash < 10; crash += 1) {
      made[0]?.webContents.emit('render-process-gone', {}, { reason: 'crashed' });
    }
    expect(made[0]?.loaded).toHaveLength(4);
    nowMs = 61_000;
    made[0]?.webContents.emit('render-process-gone', {}, { reason: 'oom' });
    expect(made[0]?.loaded).toHaveLength(5);
  });
});
