// The two halves of "Test", with the draft's own secrets: what was just typed wins over what is stored.
import { databaseOf } from '../contract/settings.ts';
import { databasePassword, openEngineStore, openQueueSource } from './connection-source.ts';
import type { TestPart } from './connection-tester.ts';
import { testLogHosts } from './logs/connection-steps.ts';
import type { SshDeps } from './logs/ssh-connection.ts';
import { resolveSecret } from './settings/resolve-secret.ts';
import type { SecretStore } from './settings/secrets.ts';
import { testStore } from './sources/engine-database/connection-steps.ts';
import { testDatabase } from './sources/postal/connection-steps.ts';
import { testQueue } from './sources/queues/connection-steps.ts';

export function connectionTestParts(store: SecretStore, sshDeps: SshDeps): TestPart[] {
  return [
    async (connection, drafted, report, signal) => {
      const secrets = overlaid(store, drafted);
      if (connection.kind === 'engine') {
        const database = databaseOf(connection);
        const place =
          connection.store.type === 'sqlite'
            ? connection.store.file
            : `${database?.host ?? ''}:${database?.port ?? ''}`;
        await testStore(
          {
            open: () => openEngineStore(connection, secrets, 'look'),
            place,
            isShared: connection.store.type !== 'sqlite',
            now: Date.now,
            report,
          },
          signal,
        );
        return;
      }
      if (connection.kind === 'queue') {
        const source = openQueueSource(connection, secrets);
        await testQueue({ source, now: Date.now, report }, signal);
        return;
      }
      const password = await databasePassword(connection, secrets);
      const { database, postal, safety } = connection;
      await testDatabase({ database, postal, safety, password, now: Date.now, report }, signal);
    },
    async (connection, drafted, report, signal) => {
      const from = { environment: process.env, store: overlaid(store, drafted) };
      const deps: SshDeps = { ...sshDeps, secret: (ref) => resolveSecret(ref, 'this log host', from) };
      await testLogHosts(connection.logHosts, deps, report, signal);
    },
  ];
}

/** The store as it would be after saving the draft. */
export function overlaid(store: SecretStore, drafted: Readonly<Record<string, string>>): SecretStore {
  return {
    description: store.description,
    get: (key) => (key in drafted ? Promise.resolve(drafted[key] ?? null) : store.get(key)),
    set: (key, value) => store.set(key, value),
    delete: (key) => store.delete(key),
  };
}
