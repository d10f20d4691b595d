// The engines in their own thread, as the application runs them.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { EngineReader } from '../../src/main/sources/local-engine/engine-reader.ts';
import { LocalEngineSource } from '../../src/main/sources/local-engine/local-engine-source.ts';
import type { Rehearsal } from '../../src/contract/rehearsal.ts';
import type { EngineHost } from '../../src/main/engine/engine-host.ts';
import type { EngineLine } from '../../src/main/engine/engine-messages.ts';
import { tempDir } from '../harness/temp.ts';
import { hostOn } from './engine-host-fixture.ts';

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const dataDirectory = async (): Promise<string> => stack.use(await tempDir('engine')).path;
const soon = { timeout: 15_000, interval: 50 };
const signal = new AbortController().signal;
const switchesOf = ({ switches }: Rehearsal) =>
  Object.fromEntries(switches.map(({ id, value }) => [id, value]));

/** The thread of a host, ended as by a crash. */
async function kill(host: EngineHost): Promise<void> {
  const posted = vi.spyOn(Worker.prototype, 'postMessage');
  await host.sample('rehearsal', signal);
  const thread = posted.mock.contexts[0] as Worker;
  posted.mockRestore();
  await thread.terminate();
}

describe('EngineHost', () => {
  it('runs the rehearsal, tells its timing line by line, and takes the switches', async () => {
    await using host = hostOn(await dataDirectory());
    const lines: EngineLine[] = [];
    host.onLines('rehearsal', (batch) => lines.push(...batch));
    const changes: Rehearsal[] = [];
    host.followRehearsal((change) => changes.push(change), signal);
    await host.start();
    expect(host.rehearsal()).toMatchObject({ incident: 1, canaryTenants: ['mailflow'], speed: 10 });
    expect(switchesOf(host.rehearsal())).toEqual({ order: 'first-come', workers: '2' });
    expect(host.rehearsal().library.map(({ incident }) => incident)).toEqual([1, 2, 3, 4]);
    expect((await host.sample('rehearsal', signal)).tenants).toHaveLength(41);

    await host.act();
    await vi.waitFor(async () => {
      const busy = await host.sample('rehearsal', signal);
      expect(busy).toMatchObject({ busy: 2, workers: 2, order: 'first-come' });
      const edify = busy.tenants.find((tenant) => tenant.tenantId === '12');
      expect((edify?.ready.value ?? 0) + (edify?.running.value ?? 0)).toBeGreaterThanOrEqual(48);
    }, soon);

    const cured = await host.setRehearsal({ switches: { order: 'fair', workers: '10' } });
    expect(switchesOf(cured)).toEqual({ order: 'fair', workers: '10' });
    await vi.waitFor(
      async () =>
        expect(await host.sample('rehearsal', signal)).toMatchObject({
          busy: 10,
          workers: 10,
          order: 'fair',
        }),
      soon,
    );
    expect(changes.at(-1)).toEqual(host.rehearsal());

    await vi.waitFor(() => expect(lines.some((line) => line.timing)).toBe(true), soon);
    const line = lines.find((candidate) => candidate.timing);
    expect(line?.text).toMatch(
      /^\[TIMING\] \{"job_id":\d+,"tenant_id":"\d+","kind":"mail",.*"total_ms":\d+,"status":/,
    );
    expect(Object.keys(line?.timing?.stages ?? {})).toEqual(['wait', 'load', 'inspect', 'dkim', 'deliver']);
    expect(lines.map((each) => each.text)).toContain('rehearsal: burst of 50 messages from edify');
  });

  it('empties the folder of the rehearsal at each start, and nothing beside it', async () => {
    const folder = await dataDirectory();
    await mkdir(join(folder, 'rehearsal'));
    await writeFile(join(folder, 'rehearsal', 'queue.db'), 'not a database at all');
    await writeFile(join(folder, 'headway.db'), 'history');
    {
      await using host = hostOn(folder);
      await host.start();
      await host.act();
    }
    await using host = hostOn(folder);
    await host.start();
    const { tenants } = await host.sample('rehearsal', signal);
    expect(tenants.reduce((sum, tenant) => sum + tenant.arrivalsTotal, 0)).toBeLessThan(10);
    const files = (await readdir(folder)).filter((name) => !/^engine\.db[-.]/.test(name));
    expect(files).toEqual(['engine.db', 'headway.db', 'rehearsal']);
  });

  it('says why while another Headway has the folder, and takes over when that one is gone', async () => {
    const folder = await dataDirectory();
    await using second = hostOn(folder);
    {
      await using first = hostOn(folder);
      await first.start();
      await second.start();
      for (const engine of ['rehearsal', 'local'] as const)
        await expect(second.sample(engine, signal)).rejects.toMatchObject({
          message: expect.stringContaining('Another engine works on') as string,
        });
    }
    await vi.waitFor(
      async () => expect((await second.sample('rehearsal', signal)).tenants).toHaveLength(41),
      soon,
    );
    await vi.waitFor(async () => expect((await second.sample('local', signal)).tenants).toEqual([]), soon);
  });

  it('can be stopped before it was started, twice, and started again', async () => {
    const host = hostOn(await dataDirectory());
    await host.stop();
    await expect(host.sample('rehearsal', signal)).rejects.toMatchObject({ code: 'unreachable' });
    await host.start();
    await Promise.all([host.stop(), host.stop()]);
    await host.start();
    expect((await host.sample('rehearsal', signal)).tenants).toHaveLength(41);
    await host.stop();
  });

  it('starts a thread that died again, as it was set, with the local jobs, and tells of it meanwhile', async () => {
    const kinds = [{ kind: 'wait', handler: { type: 'command', command: ['sleep', '300'] } }];
    await using host = hostOn(await dataDirectory(), { settings: { kinds, stopSeconds: 0 } });
    await host.start();
    await host.setRehearsal({ incident: 4, switches: { breaker: 'on' } });
    const local = host.admin('local');
    const jobs = ['a', 'b'].map((tenantId) => ({ tenantId, kind: 'wait', payload: { for: tenantId } }));
    const ids = (await local.enqueue(jobs)).map(({ id }) => id);
    await vi.waitFor(async () => expect((await host.sample('local', signal)).busy).toBe(2), soon);

    await kill(host);
    await expect(host.sample('local', signal)).rejects.toThrow(
      /The local engine stopped: .*started again by itself/,
    );
    await vi.waitFor(async () => expect((await host.sample('local', signal)).busy).toBe(2), soon);
    for (const id of ids) expect((await local.job(id)).job).toMatchObject({ id, state: 'running' });
    expect(switchesOf(host.rehearsal())).toMatchObject({ breaker: 'on', retry: 'alike' });
    expect(await host.sample('rehearsal', signal)).toMatchObject({ tenantWord: 'user' });
  });

  it('gives up a sample whose caller has gone', async () => {
    await using host = hostOn(await dataDirectory());
    await host.start();
    const caller = new AbortController();
    const asked = host.sample('rehearsal', caller.signal);
    caller.abort();
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('LocalEngineSource', () => {
  it('shows mailflow behind the burst of edify, and says so when the engine is down', async () => {
    const host = hostOn(await dataDirectory());
    await host.start();
    const admin = host.admin('rehearsal');
    const reader: EngineReader = {
      sample: (asked) => host.sample('rehearsal', asked),
      list: (request, asked) => admin.list(request, asked),
      job: (id, asked) => admin.job(id, asked),
    };
    await using source = new LocalEngineSource(reader, 'an engine');
    expect(await source.probe(signal)).toMatchObject({ tenantWord: 'server', warnings: [] });
    const names = new Map((await source.tenants(signal)).map((tenant) => [tenant.id, tenant.name]));
    expect(names.get('3')).toBe('mailflow');
    await host.act();
    await vi.waitFor(async () => {
      const sample = await source.snapshot(signal);
      const mailflow = sample.tenants.find((tenant) => tenant.tenantId === '3');
      expect(mailflow?.oldestReady).not.toBeNull();
      expect(mailflow?.behind?.ahead.value).toBeGreaterThan(30);
      expect(names.get(mailflow?.behind?.tenants[0]?.tenantId ?? '')).toBe('edify');
      expect(mailflow?.behind?.tenants[0]?.share).toBeGreaterThan(0.8);
    }, soon);
    const query = { list: 'ready' as const, tenantId: null, after: null, limit: 5 };
    const first = await source.details.jobs(query, signal);
    expect(first.jobs.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'ready'));
    const second = await source.details.jobs({ ...query, after: first.next }, signal);
    expect(Number(second.jobs[0]?.id)).toBeGreaterThan(Number(first.jobs[4]?.id));
    const { locks } = await source.details.locks({ tenantId: null, limit: 1 }, signal);
    const running = await source.details.job(locks[0]?.jobId ?? '', signal);
    // It may have ended since.
    if (running) expect(running.payload?.text).toMatch(/^\{/);
    await host.stop();
    await expect(source.snapshot(signal)).rejects.toMatchObject({ code: 'unreachable' });
    await expect(source.details.jobs(query, signal)).rejects.toMatchObject({ code: 'unreachable' });
  });
});
