// Jobs of a made-up computer, as its settings declare them: one kind for each sort of handler.
import { engineSettingsSchema } from '../../../src/contract/job-kinds.ts';
import type { EngineSettings } from '../../../src/contract/job-kinds.ts';

export const syntheticEngine: EngineSettings = engineSettingsSchema.parse({
  workers: 10,
  order: 'fair',
  tenants: { edify: { weight: 0.5, cap: 4 }, mailflow: { weight: 3 } },
  kinds: [
    {
      kind: 'sync',
      handler: {
        type: 'command',
        command: ['/opt/jobs/sync.py', '--supplier', 'north wind', '--json'],
        cwd: '/opt/jobs',
        env: { MODE: 'full', SUPPLIER_TOKEN: { env: 'SUPPLIER_TOKEN' } },
        output: 'json',
        errorCodes: { permanent: [2, 3] },
        probe: ['/opt/jobs/sync.py', '--check'],
      },
      timeouts: { jobSeconds: 1_800, scriptSeconds: 900, probeSeconds: 780 },
      retry: { maxAttempts: 3, classes: { timeout: { baseSeconds: 30, ceilingSeconds: 600 } } },
      concurrency: 4,
    },
    {
      kind: 'normalise',
      handler: { type: 'module', file: '/opt/jobs/normalise.ts' },
      dependsOn: ['sync'],
      timeouts: { jobSeconds: 120 },
    },
    {
      kind: 'embed',
      handler: {
        type: 'http',
        url: 'https://models.example.com/v1/embed',
        headers: { authorization: { stored: 'engine.embed.authorization' } },
      },
      dependsOn: ['normalise'],
      timeouts: { jobSeconds: 300 },
      rate: { starts: 60, perSeconds: 60 },
      breaker: { dependency: 'model-api' },
      throttle: {},
    },
  ],
});
