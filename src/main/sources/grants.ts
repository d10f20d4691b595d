// What an account may do, from its own SHOW GRANTS.

export interface Grants {
  /** Where it may read, as the server writes it: `*.*`, `` `postal`.* ``. */
  reads: string[];
  /** What it may do beyond reading, by place; empty for an account that can only look. */
  beyondReading: { place: string; privileges: string[] }[];
}

/** Privileges that change neither data nor schema. GRANT OPTION is listed apart, as WITH GRANT OPTION. */
const harmless = new Set([
  'USAGE',
  'SELECT',
  'SHOW VIEW',
  'SHOW DATABASES',
  'SHOW CREATE ROUTINE',
  'PROCESS',
  'REPLICATION CLIENT',
  'BINLOG MONITOR',
  'SLAVE MONITOR',
  'REPLICA MONITOR',
]);

/** Understands lines of SHOW GRANTS. A granted role is not followed: the server lists what an active one gives. */
export function understandGrants(lines: readonly string[]): Grants {
  const reads: string[] = [];
  const beyondReading: Grants['beyondReading'] = [];
  for (const line of lines) {
    const match =
      /^GRANT (?<privileges>.+?) ON (?:TABLE )?(?<place>(?:\*|`(?:[^`]|``)+`)\.(?:\*|`(?:[^`]|``)+`)) TO /.exec(
        line,
      );
    const { privileges = '', place = '' } = match?.groups ?? {};
    if (place === '') continue;
    const names = privilegeNames(privileges);
    if (names.some((name) => name === 'SELECT' || name.startsWith('ALL'))) reads.push(place);
    const more = names.filter((name) => !harmless.has(name));
    if (/WITH .*GRANT OPTION/.test(line)) more.push('GRANT OPTION');
    if (more.length > 0) beyondReading.push({ place, privileges: more });
  }
  return { reads, beyondReading };
}

/** Names between the commas, without the column lists that may follow them. */
function privilegeNames(list: string): string[] {
  return list
    .replaceAll(/\([^)]*\)/g, '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}
