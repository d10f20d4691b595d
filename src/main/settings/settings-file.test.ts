import { writeFileSync } from 'node:fs';
import { lstat, mkdtemp, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HeadwayError } from '../../contract/errors.ts';
import type { Settings } from '../../contract/settings.ts';
import { SettingsFile, type SettingsListener } from './settings-file.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headway-settings-'));
  path = join(folder, 'settings.json');
});
afterEach(() => rm(folder, { recursive: true }));

class Heard implements SettingsListener {
  budgets: number[] = [];
  refusals: string[] = [];
  changed(settings: Settings) {
    this.budgets.push(settings.history.budgetMegabytes);
  }
  refused(error: HeadwayError) {
    this.refusals.push(error.message);
  }
}
const withBudget = (megabytes: number) => `{ "version": 1, "history": { "budgetMegabytes": ${megabytes} } }`;
const setBudget = (budgetMegabytes: number) => (settings: Settings) => ({
  ...settings,
  history: { budgetMegabytes },
});

describe('SettingsFile', () => {
  it('takes the defaults without a file, and writes one on the first change', async () => {
    const heard = new Heard();
    path = join(folder, 'new', 'settings.json');
    await using file = await SettingsFile.open(path, heard);
    expect(file.current).toMatchObject({ version: 1, connections: [] });
    expect(file.problem).toBeNull();
    await file.update(setBudget(64));
    expect(file.current.history.budgetMegabytes).toBe(64);
    expect(heard.budgets).toEqual([64]);
    expect(await readFile(path, 'utf8')).toMatch(/^\/\/ Settings of Headway.*"budgetMegabytes": 64/s);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'new'))).toEqual(['settings.json']);
  });

  it('notices an edit from outside, however it is saved, and stays with the old on a bad one', async () => {
    await writeFile(path, withBudget(100));
    const heard = new Heard();
    await using file = await SettingsFile.open(path, heard, 20);
    await writeFile(path, withBudget(200));
    await vi.waitFor(() => expect(heard.budgets).toEqual([200]), 5000);
    await writeFile(path, '{ "version": 1, "history": ');
    await vi.waitFor(() => expect(heard.refusals).toHaveLength(1), 5000);
    expect(file.current.history.budgetMegabytes).toBe(200);
    expect(file.problem?.code).toBe('settings-invalid');
    await expect(file.update(setBudget(300))).rejects.toMatchObject({ code: 'settings-invalid' });
    await writeFile(`${path}~`, withBudget(400));
    await rename(`${path}~`, path);
    await vi.waitFor(() => expect(heard.budgets).toEqual([200, 400]), 5000);
    expect(file.problem).toBeNull();
    await rm(path);
    await vi.waitFor(() => expect(heard.refusals.at(-1)).toContain('is gone'), 5000);
    expect(file.current.history.budgetMegabytes).toBe(400);
  });

  it('starts with the defaults and the problem when the file is bad, and hears of its repair', async () => {
    await writeFile(path, '{');
    const heard = new Heard();
    await using file = await SettingsFile.open(path, heard);
    expect(file.problem?.message).toContain('settings.json:1:2');
    await writeFile(path, '{ "version": 1 }');
    await file.reload();
    expect(file.problem).toBeNull();
    expect(heard.budgets).toEqual([1024]);
  });

  it('applies a change on the text that stands in the file now', async () => {
    await writeFile(path, withBudget(100));
    const heard = new Heard();
    await using file = await SettingsFile.open(path, heard);
    let runs = 0;
    const other = '// mine\n{ "version": 1, "thisComputer": { "enabled": false } }';
    // What the change sees is read before it runs; the editor saves in the middle of it.
    await file.update((settings) => {
      if (runs++ === 0) writeFileSync(path, other);
      return setBudget(64)(settings);
    });
    expect(runs).toBe(2);
    const text = await readFile(path, 'utf8');
    expect(text).toContain('// mine');
    expect(file.current).toMatchObject({
      thisComputer: { enabled: false },
      history: { budgetMegabytes: 64 },
    });
  });

  it('runs changes one after the other, and refuses what the schema does not allow', async () => {
    await using file = await SettingsFile.open(path, new Heard());
    const add = (s: Settings) => setBudget(s.history.budgetMegabytes + 1)(s);
    await Promise.all([file.update(add), file.update(add), file.update(add)]);
    expect(file.current.history.budgetMegabytes).toBe(1027);
    await expect(file.update(setBudget(1))).rejects.toMatchObject({
      code: 'settings-invalid',
      message: expect.stringContaining('history.budgetMegabytes') as string,
    });
    expect(await readFile(path, 'utf8')).toContain('1027');
  });

  it('leaves a symbolic link a link', async () => {
    const target = join(folder, 'dotfiles.json');
    await writeFile(target, withBudget(100));
    await symlink(target, path);
    await using file = await SettingsFile.open(path, new Heard());
    await file.update(setBudget(64));
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect(await readFile(target, 'utf8')).toBe(withBudget(64));
  });
});
