import { expect, test } from 'vitest';
import { Updates, type UpdaterLike } from './updater.ts';

function make(options: { available: boolean; answers: number[] }) {
  const did: string[] = [];
  const asked: string[] = [];
  const updater: UpdaterLike = {
    autoDownload: true,
    autoInstallOnAppQuit: true,
    checkForUpdates: () => {
      did.push('check');
      return Promise.resolve({ isUpdateAvailable: options.available, updateInfo: { version: '1.2.3' } });
    },
    downloadUpdate: () => {
      did.push('download');
      return Promise.resolve([]);
    },
    quitAndInstall: () => did.push('install'),
  };
  const ask = (question: string) => {
    asked.push(question);
    return Promise.resolve(options.answers.shift() ?? 1);
  };
  const updates = new Updates({
    updater,
    ask,
    logger: { warn: () => did.push('warn'), error: () => undefined },
  });
  return { updates, updater, did, asked };
}

test('nothing is downloaded unless it is wanted', async () => {
  const { updates, updater, did, asked } = make({ available: true, answers: [1] });
  expect([updater.autoDownload, updater.autoInstallOnAppQuit]).toEqual([false, false]);
  await updates.check({ quietly: true });
  expect(did).toEqual(['check']);
  expect(asked).toEqual(['Headway 1.2.3 is available']);
});

test('nothing is installed unless it is wanted; later means when quitting', async () => {
  const now = make({ available: true, answers: [0, 0] });
  await now.updates.check({ quietly: true });
  expect(now.did).toEqual(['check', 'download', 'install']);
  const later = make({ available: true, answers: [0, 1] });
  await later.updates.check({ quietly: true });
  expect(later.did).toEqual(['check', 'download']);
  expect(later.updater.autoInstallOnAppQuit).toBe(true);
});

test('a quiet check that finds nothing, or fails, says nothing', async () => {
  const none = make({ available: false, answers: [] });
  await none.updates.check({ quietly: true });
  await none.updates.check({ quietly: false });
  expect(none.asked).toEqual(['Headway is up to date']);
  const failing = make({ available: true, answers: [] });
  failing.updater.checkForUpdates = () => Promise.reject(new Error('no network'));
  await failing.updates.check({ quietly: true });
  expect([failing.asked, failing.did]).toEqual([[], ['warn']]);
});
