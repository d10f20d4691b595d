import { describe, expect, it } from 'vitest';
import { understandGrants } from './grants.ts';

describe('grants', () => {
  it('an account that only reads', () => {
    expect(
      understandGrants([
        "GRANT USAGE ON *.* TO `headway`@`%` IDENTIFIED BY PASSWORD '*0123'",
        'GRANT SELECT ON `postal`.* TO `headway`@`%`',
        'GRANT SELECT, SHOW VIEW ON `postal-server-%`.* TO `headway`@`%`',
      ]),
    ).toEqual({ reads: ['`postal`.*', '`postal-server-%`.*'], beyondReading: [] });
  });

  it('writes, by place', () => {
    expect(
      understandGrants([
        'GRANT SELECT, INSERT, UPDATE, DELETE ON `postal`.* TO `app`@`%`',
        'GRANT ALL PRIVILEGES ON `postal-server-%`.* TO `app`@`%` WITH GRANT OPTION',
      ]).beyondReading,
    ).toEqual([
      { place: '`postal`.*', privileges: ['INSERT', 'UPDATE', 'DELETE'] },
      { place: '`postal-server-%`.*', privileges: ['ALL PRIVILEGES', 'GRANT OPTION'] },
    ]);
  });

  it('grants on columns, odd names, roles and the proxy grant of MySQL', () => {
    expect(
      understandGrants([
        'GRANT SELECT (`id`, `server_id`), UPDATE (`locked_by`) ON `po``st ON al`.`queued_messages` TO `a`@`%`',
        'GRANT `reporting` TO `a`@`%`',
        "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
        'GRANT SELECT, PROCESS ON *.* TO `a`@`%`',
      ]),
    ).toEqual({
      reads: ['`po``st ON al`.`queued_messages`', '*.*'],
      beyondReading: [{ place: '`po``st ON al`.`queued_messages`', privileges: ['UPDATE'] }],
    });
  });
});
