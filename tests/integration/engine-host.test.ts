// The engine in its own thread, as the application runs it.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Worker } from 'node:worker_threads';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LocalEngineSource } from '../../src/main/sources/local-engine/local-engine-source.ts';
import type { Rehearsal } from '../../src/contract/rehearsal.ts';
import { EngineHost } from '../../src/main/engine/engine-host.ts';
import type { EngineLine } from '../../src/main/engine/engine-messages.ts';

const folders: string[] = [];
async function dataDirectory(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'headway-engine-'));
  folders.push(folder);
  return folder;
}
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});
const soon = { timeout: 15_000, interval: 50 };
const signal = new AbortController().signal;

describe('EngineHost', () => {
  it('runs the rehearsal, tells its timing line by line, and takes the switches', async () => {
    await using host = new EngineHost(await dataDirectory());
    const lines: EngineLine[] = [];
    host.onLines((batch) => lines.push(...batch));
    const changes: Rehearsal[] = [];
    host.followRehearsal((change) => changes.push(change), signal);
    await host.start();
    expect(host.rehearsal()).toMatchObject({
      order: 'first-come',
      workers: 2,
      watchedTenant: 'mailflow',
      burstSize: 50,
    });
    expect((await host.sample(signal)).tenants).toHaveLength(41);

    await host.burst();
    const busy = await host.sample(signal);
    expect(busy).toMatchObject({ busy: 2, workers: 2, order: 'first-come' });
    const edify = busy.tenants.find((tenant) => tenant.tenantId === '12');
    expect((edify?.ready.value ?? 0) + (edify?.running.value ?? 0)).toBeGreaterThanOrEqual(49);
    expect(edify?.frontIds.length).toBe(edify?.ready.value);

    expect(await host.setRehearsal({ order: 'fair', workers: 10 })).toMatchObject({
      order: 'fair',
      workers: 10,
    });
    expect(await host.sample(signal)).toMatchObject({ busy: 10, workers: 10, order: 'fair' });
    expect(changes.at(-1)).toEqual(host.rehearsal());

    await vi.waitFor(() => expect(lines.some((line) => line.timing)).toBe(true), soon);
    const line = lines.find((candidate) => candidate.timing);
    expect(line?.text).toMatch(
      /^\[TIMING\] \{"job_id":\d+,"tenant_id":"12","kind":"mail",.*"total_ms":\d+,"status":/,
    );
    expect(Object.keys(line?.timing?.stages ?? {})).toEqual(['wait', 'load', 'inspect', 'dkim', 'deliver']);
    expect(lines.map((each) => each.text)).toContain('rehearsal: burst of 50 messages from edify');
  });

  it('empties its own folder at each start, and nothing beside it', async () => {
    const folder = await dataDirectory();
    await mkdir(join(folder, 'rehearsal'));
    await writeFile(join(folder, 'rehearsal', 'queue.db'), 'not a database at all');
    await writeFile(join(folder, 'headway.db'), 'history');
    {
      await using host = new EngineHost(folder);
      await host.start();
      await host.burst();
    }
    await using host = new EngineHost(folder);
    await host.start();
    const { tenants } = await host.sample(signal);
    expect(tenants.reduce((sum, tenant) => sum + tenant.arrivalsTotal, 0)).toBeLessThan(10);
    expect(await readdir(folder)).toEqual(['headway.db', 'rehearsal']);
  });

  it('says why while another engine has the folder, and takes over when that one is gone', async () => {
    const folder = await dataDirectory();
    await using second = new EngineHost(folder);
    {
      await using first = new EngineHost(folder);
      await first.start();
      await second.start();
      await expect(second.sample(signal)).rejects.toMatchObject({
        code: 'unreachable',
        message: expect.stringContaining('Another engine works on') as string,
      });
    }
    await vi.waitFor(async () => expect((await second.sample(signal)).tenants).toHaveLength(41), soon);
  });

  it('can be stopped before it was started, twice, and started again', async () => {
    const host = new EngineHost(await dataDirectory());
    await host.stop();
    await expect(host.sample(signal)).rejects.toMatchObject({ code: 'unreachable' });
    await host.start();
    await Promise.all([host.stop(), host.stop()]);
    await host.start();
    expect((await host.sample(signal)).tenants).toHaveLength(41);
    await host.stop();
  });

  it('starts a thread that died again, with the switches it had, and tells of it meanwhile', async () => {
    await using host = new EngineHost(await dataDirectory());
    await host.start();
    const posted = vi.spyOn(Worker.prototype, 'postMessage');
    await host.setRehearsal({ order: 'fair', workers: 3 });
    const thread = posted.mock.contexts[0] as Worker;
    posted.mockRestore();
    const asked = host.sample(signal);
    await Promise.all([thread.terminate(), expect(asked).rejects.toMatchObject({ code: 'unreachable' })]);
    await expect(host.sample(signal)).rejects.toThrow(/The local engine stopped: .*started again by itself/);
    await vi.waitFor(
      async () => expect(await host.sample(signal)).toMatchObject({ order: 'fair', workers: 3 }),
      soon,
    );
  });

  it('gives up a sample whose caller has gone', async () => {
    await using host = new EngineHost(await dataDirectory());
    await host.start();
    const caller = new AbortController();
    const asked = host.sample(caller.signal);
    caller.abort();
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('LocalEngineSource', () => {
  it('shows mailflow behind the burst of edify, and says so when the engine is down', async () => {
    const host = new EngineHost(await dataDirectory());
    await host.start();
    await using source = new LocalEngineSource(host);
    expect(await source.probe(signal)).toMatchObject({ tenantWord: 'server', warnings: [] });
    const names = new Map((await source.tenants()).map((tenant) => [tenant.id, tenant.name]));
    expect(names.get('3')).toBe('mailflow');
    await host.burst();
    await vi.waitFor(async () => {
      const sample = await source.snapshot(signal);
      const mailflow = sample.tenants.find((tenant) => tenant.tenantId === '3');
      expect(mailflow?.oldestReady).not.toBeNull();
      expect(mailflow?.behind?.ahead.value).toBeGreaterThan(30);
      expect(names.get(mailflow?.behind?.tenants[0]?.tenantId ?? '')).toBe('edify');
      expect(mailflow?.behind?.tenants[0]?.share).toBeGreaterThan(0.8);
    }, soon);
    await host.stop();
    await expect(source.snapshot(signal)).rejects.toMatchObject({ code: 'unreachable' });
  });
});
