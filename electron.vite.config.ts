// Three builds from one source: the main process, the preload bridge, and the window that both faces serve.
import { resolve } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'electron-vite';

const at = (path: string) => resolve(import.meta.dirname, path);

export default defineConfig({
  main: {
    build: {
      outDir: 'out/main',
      rolldownOptions: {
        // Worker threads are entries of their own: their parents start them by file name.
        input: {
          index: at('src/main/index.ts'),
          'history-worker': at('src/main/history/history-worker.ts'),
          'engine-worker': at('src/main/engine/engine-worker.ts'),
          'store-worker': at('src/main/log-store/store-worker.ts'),
          'search-worker': at('src/main/log-store/search-worker.ts'),
          'timing-worker': at('src/main/logs/timing-worker.ts'),
          'module-thread': at('src/main/engine/workers/handlers/module-thread.ts'),
          'locked-key-worker': at('src/main/logs/locked-key-worker.ts'),
        },
        // Chunks lie beside them: a chunk that starts a thread finds its entry as the source does.
        output: { format: 'es', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' },
      },
    },
  },
  preload: {
    build: {
      outDir: 'out/preload',
      rolldownOptions: {
        input: { index: at('src/preload/index.ts') },
        // A sandboxed preload script must be CommonJS.
        output: { format: 'cjs', entryFileNames: '[name].cjs' },
      },
    },
  },
  renderer: {
    root: at('src/renderer'),
    plugins: [svelte()],
    build: { outDir: at('out/renderer'), rolldownOptions: { input: at('src/renderer/index.html') } },
  },
});
