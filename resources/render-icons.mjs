// Renders the PNGs from the SVGs beside this file, after a change: `node resources/render-icons.mjs [CHROMIUM]`.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { chromium } from 'playwright-core';

const icons = [
  ['icon', 1024, ''],
  ...['normal', 'warning', 'critical'].flatMap((state) => [
    [`tray-${state}`, 22, ''],
    [`tray-${state}`, 44, '@2x'],
  ]),
];

const browser = await chromium.launch({
  executablePath: process.argv[2] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
});
try {
  for (const [name, size, suffix] of icons) {
    const svg = await readFile(join(import.meta.dirname, `${name}.svg`), 'utf8');
    const page = await browser.newPage({ viewport: { width: size, height: size } });
    await page.setContent(`<style>body { margin: 0 } svg { display: block; width: ${size}px }</style>${svg}`);
    await page.screenshot({ path: join(import.meta.dirname, `${name}${suffix}.png`), omitBackground: true });
    await page.close();
  }
} finally {
  await browser.close();
}
