// `npm test`: sets up what is missing, then every check and every test. Quiet: a line a step, and on failure the
// cause. `npm test -- unit e2e` runs only the steps named.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ensureBuild, ensurePackages, ensureTestServers, environment, root } from './setup.mjs';

const reports = mkdtempSync(join(tmpdir(), 'headway-test-'));
process.on('exit', () => rmSync(reports, { recursive: true, force: true }));

const report = (name) => join(reports, `${name}.json`);
const vitest = (name) =>
  `vitest run --project ${name} --reporter=dot --reporter=json --outputFile=${report(name)}`;
const steps = {
  check: 'npm run -s check',
  unit: vitest('unit'),
  integration: vitest('integration'),
  e2e: 'playwright test --reporter=list,json',
};

const counts = { passed: 0, failed: 0, skipped: 0 };
function count(name) {
  const read = () => JSON.parse(readFileSync(report(name), 'utf8'));
  if (name === 'unit' || name === 'integration') {
    const result = read();
    counts.passed += result.numPassedTests;
    counts.failed += result.numFailedTests;
    counts.skipped += result.numPendingTests + result.numTodoTests;
  } else if (name === 'e2e') {
    const { stats } = read();
    counts.passed += stats.expected + stats.flaky;
    counts.failed += stats.unexpected;
    counts.skipped += stats.skipped;
  }
}

/** Runs one step; resolves to its exit code and everything it printed. */
function runStep(name, command) {
  const env = {
    ...environment(),
    PLAYWRIGHT_JSON_OUTPUT_NAME: report(name),
    NO_COLOR: '1',
    FORCE_COLOR: '0',
  };
  const child = spawn(command, { cwd: root, env, shell: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => output.push(chunk));
  return new Promise((resolve) =>
    child.on('close', (code) => resolve({ code: code ?? 1, text: Buffer.concat(output).toString() })),
  );
}

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !(name in steps));
if (unknown.length > 0) {
  console.error(`headway: no such step: ${unknown.join(', ')}. There are: ${Object.keys(steps).join(', ')}.`);
  process.exit(2);
}
ensurePackages();
ensureTestServers();
ensureBuild();

let broken = 0;
for (const [name, command] of Object.entries(steps)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const began = Date.now();
  const { code, text } = await runStep(name, command);
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (code === 0) for (const said of new Set(text.match(/SKIPPED: .*$/gm))) console.log(`       ${said}`);
  else {
    broken += 1;
    console.log(text.split('\n').slice(-200).join('\n'));
  }
  try {
    count(name);
  } catch {
    if (name !== 'check' && code === 0) throw new Error(`${name} wrote no report`);
  }
}
// A step that broke without a failing test (lint, a crash) counts as one failure.
counts.failed = Math.max(counts.failed, broken);
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = broken === 0 ? 0 : 1;
