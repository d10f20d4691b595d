// The way of the data is one straight line, and imports run along it (docs/architecture.md).
const room = (name) => `^src/main/${name}/`;
const rooms = ['sources', 'logs', 'engine', 'alerts', 'history', 'control'];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'core-is-pure',
      comment: 'core knows nothing but itself and two libraries that only read values: zod and jsonc-parser',
      severity: 'error',
      from: { path: '^src/core/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: ['^src/core/', 'node_modules/(zod|jsonc-parser)/'] },
    },
    {
      name: 'contract-knows-core',
      severity: 'error',
      from: { path: '^src/contract/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: ['^src/contract/', '^src/core/', 'node_modules/zod'] },
    },
    {
      name: 'windows-know-the-contract-only',
      severity: 'error',
      from: { path: '^src/(renderer|preload)/' },
      to: { path: '^src/main/' },
    },
    ...rooms.map((name) => ({
      name: `${name}-knows-no-other-room`,
      severity: 'error',
      from: { path: room(name) },
      to: { path: '^src/main/', pathNot: room(name) },
    })),
    {
      name: 'monitor-knows-the-seams-only',
      comment: 'sources, logs and history are known to the monitor through one file each (docs/adr/0003)',
      severity: 'error',
      from: { path: room('monitor') },
      to: {
        path: '^src/main/',
        pathNot: [
          room('monitor'),
          '/sources/source\\.ts$',
          '/logs/log-events\\.ts$',
          '/history/history-store\\.ts$',
        ],
      },
    },
    {
      name: 'log-store-reads-lines-as-logs-do',
      comment: 'the log store knows of the logs how the timing of a line is read (docs/adr/0015)',
      severity: 'error',
      from: { path: room('log-store') },
      to: { path: '^src/main/', pathNot: [room('log-store'), '/logs/read-timing\\.ts$'] },
    },
    {
      name: 'host-knows-the-contract',
      severity: 'error',
      from: { path: room('host') },
      to: { path: '^src/main/', pathNot: room('host') },
    },
    {
      name: 'settings-know-the-contract',
      severity: 'error',
      from: { path: room('settings') },
      to: { path: '^src/main/', pathNot: room('settings') },
    },
    {
      name: 'only-electron-imports-electron',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/main/electron/', '^src/main/index\\.ts$', '^src/preload/'] },
      to: { path: 'node_modules/electron(-updater)?/' },
    },
    {
      name: 'nobody-imports-the-entries',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/main/(electron|cli)/', '^src/main/index\\.ts$'] },
      to: { path: '^src/main/(electron|cli)/|^src/main/index\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.web.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'svelte'],
    },
  },
};
