// Whether the window stays smooth under load: 1,000 tenants at 1 Hz and 1,000 log lines a second into the real page
// in Chromium, on the overview and on the log view, beside a naive page fed by the same host.
// `npm run bench:ui -- [--seconds 30] [--tenants 1000] [--lines 1000]`. Exit code 1 when a promise does not hold.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { buildWindow } from '../harness/build-window.ts';
import { chromiumLaunch } from '../harness/chromium.ts';
import { startSyntheticHost } from '../harness/synthetic-host.ts';
import { probeFrames } from './frame-probe.ts';
import type { FrameReport } from './frame-probe.ts';

const MAX_P99_MS = 33;
const MAX_TASK_MS = 100;
const MAX_HEAP_GROWTH = 0.1;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    tenants: { type: 'string', default: '1000' },
    lines: { type: 'string', default: '1000' },
    /** Time for the log view to fill its ring before anything is measured. */
    warmup: { type: 'string', default: '12' },
  },
});
const seconds = Number(values.seconds);
const warmupMs = Number(values.warmup) * 1000;

await buildWindow();
await using host = await startSyntheticHost({
  tenants: Number(values.tenants),
  linesPerS: Number(values.lines),
});
const launch = chromiumLaunch();
const args = [...launch.args, '--js-flags=--expose-gc', '--enable-precise-memory-info'];
await using browser = await chromium.launch({ ...launch, args });
const origin = new URL(host.url).origin;
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const naive = await readFile(join(import.meta.dirname, 'naive-page.html'), 'utf8');
const signIn = await context.newPage();
await signIn.goto(host.url);
await signIn.close();
// Its script stands in the page, which the window's own policy would refuse.
const naiveContext = await browser.newContext({
  viewport: { width: 1280, height: 800 },
  storageState: await context.storageState(),
  bypassCSP: true,
});

const ours = ['overview', 'logs'] as const;
/** The naive page is put in place of an answer of the same host, so that it may speak to it. */
const paths = {
  overview: '/connection/prod-postal',
  logs: '/connection/prod-postal/logs',
  naive: '/none.txt',
  empty: '/none.txt',
};
// What the machine itself does to a page that does nothing: no page can be smoother than that.
const floor = await measure('empty');
const reports: { page: keyof typeof paths; report: FrameReport }[] = [];
for (const page of ours) {
  reports.push({ page, report: await measure(page) });
  reports.push({ page: 'naive', report: await measure('naive') });
}

console.log(`${values.tenants} tenants at 1 Hz, ${values.lines} log lines/s, ${seconds} s a page:`);
console.log(describe('empty', floor));
for (const { page, report } of reports) console.log(describe(page, report));
const worst = (mine: boolean): number =>
  Math.max(...reports.filter(({ page }) => (page !== 'naive') === mine).map(({ report }) => report.p99Ms));
const holds = reports.every(({ page, report }) => page === 'naive' || smooth(report));
console.log(
  JSON.stringify({
    bench: 'ui',
    ours: round(worst(true)),
    peer: round(worst(false)),
    ratio: round(worst(false) / worst(true)),
    unit: 'ms p99 frame',
    holds,
  }),
);
process.exitCode = holds ? 0 : 1;

async function measure(name: keyof typeof paths): Promise<FrameReport> {
  const page = await (name === 'naive' ? naiveContext : context).newPage();
  try {
    page.on('pageerror', (error) => console.error(`${name}: ${error.message}`));
    await page.goto(origin + paths[name]);
    if (name === 'naive') await page.setContent(naive);
    if (name !== 'empty') await page.waitForTimeout(warmupMs);
    return await page.evaluate(probeFrames, name === 'empty' ? Math.min(10, seconds) : seconds);
  } finally {
    await page.close();
  }
}

function growth({ heapFirstBytes, heapLastBytes }: FrameReport): number {
  return heapLastBytes / heapFirstBytes - 1;
}

function smooth(report: FrameReport): boolean {
  return report.p99Ms < MAX_P99_MS && report.longestTaskMs <= MAX_TASK_MS && growth(report) < MAX_HEAP_GROWTH;
}

function describe(page: string, report: FrameReport): string {
  const { frames, p50Ms, p99Ms, worstMs, longestTaskMs, heapLastBytes } = report;
  const heap = `heap ${round(heapLastBytes / 1e6)} MB (${round(growth(report) * 100)} %)`;
  return (
    `${page.padEnd(9)} p50 ${round(p50Ms)} ms, p99 ${round(p99Ms)} ms, worst ${round(worstMs)} ms, ` +
    `longest task ${round(longestTaskMs)} ms, ${heap}, ${frames} frames`
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
