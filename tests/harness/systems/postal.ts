// Postal as a watched system. Its tenants are servers: a new name is given the next id.
import { openPostal } from '../../../src/main/sources/postal/postal-source.ts';
import { databaseSchema } from '../../../src/contract/settings.ts';
import { createPostal } from '../postal-schema.ts';
import { ago, onMariaDb, READER, spread } from './mariadb-system.ts';
import type { WatchedSystem } from './system.ts';

export const postalSystem = (): Promise<WatchedSystem> =>
  onMariaDb(async (server, root) => {
    await createPostal(server, { servers: [] });
    await root.query('USE postal');
    const ids = new Map<string, number>();
    const idOf = async (tenant: string): Promise<number> => {
      const known = ids.get(tenant);
      if (known !== undefined) return known;
      const id = ids.size + 1;
      ids.set(tenant, id);
      await root.execute('INSERT INTO servers (id, organization_id, name) VALUES (?, 1, ?)', [id, tenant]);
      return id;
    };
    return {
      name: 'Postal',
      source: (options) =>
        openPostal({
          database: databaseSchema.parse({
            host: server.host,
            port: server.port,
            user: READER.user,
            database: 'postal',
          }),
          postal: { messageDatabasePrefix: 'postal-server-', staleLockHours: 24 },
          password: () => Promise.resolve(READER.password),
          now: Date.now,
          ...options,
        }),
      tenantId: (tenant) => String(ids.get(tenant) ?? Number(tenant.slice(1)) + 1),
      async clear() {
        ids.clear();
        await root.query('TRUNCATE queued_messages; DELETE FROM servers');
      },
      async put({ tenant, state, ageMs, dueInMs = 0, startedAgoMs = 0 }) {
        await root.query(
          `INSERT INTO queued_messages (server_id, message_id, created_at, updated_at, retry_after, locked_at, locked_by)
           VALUES (${await idOf(tenant)}, 1, ${ago(ageMs)}, UTC_TIMESTAMP(6),
                   ${state === 'delayed' ? ago(-dueInMs) : 'NULL'}, ${state === 'running' ? ago(startedAgoMs) : 'NULL'},
                   ${state === 'running' ? "'host:a pid:1 thread:1'" : 'NULL'})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO servers (id, organization_id, name)
           SELECT seq + 1, 1, CONCAT('t', seq) FROM seq_0_to_${tenants - 1};
           SET unique_checks = 0, foreign_key_checks = 0;
           INSERT INTO queued_messages (server_id, message_id, domain, created_at, updated_at, batch_key)
           SELECT 1 + MOD(n, ${tenants}), n, CONCAT('example', MOD(n, 97), '.org'), ${spread(rows)}, UTC_TIMESTAMP(6), 'b'
             FROM (SELECT seq AS n FROM seq_0_to_${rows - 1}) numbers;
           ANALYZE TABLE queued_messages`,
        );
      },
      workOne: `DELETE FROM queued_messages WHERE locked_by IS NULL AND locked_at IS NULL LIMIT 1`,
      peerQuery: 'SELECT server_id, COUNT(*), MIN(created_at) FROM queued_messages GROUP BY server_id',
    };
  });
