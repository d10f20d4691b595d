import { expect, test } from 'vitest';
import { conditionsOf, reachOf } from './conditions.ts';

const pg = (text: string) =>
  conditionsOf(text, 'j', 'postgres').map(({ columns, kind }) => [kind, ...columns]);

test.each<[string, string[][]]>([
  ["(j.status = 'queued'::text)", [['equal', 'status']]],
  [
    "((j.status = ANY ('{queued,processing}'::text[])) AND (j.attempts < 3) AND (j.user_id = 'c4'::uuid))",
    [
      ['one-of', 'status'],
      ['range', 'attempts'],
      ['equal', 'user_id'],
    ],
  ],
  [
    `(("j"."run at" <= now()) AND ((j.state)::text = 'a AND b'::text))`,
    [
      ['range', 'run at'],
      ['equal', 'state'],
    ],
  ],
  [
    '((j.batch_id IS NOT NULL) AND (j.locked_at IS NULL))',
    [
      ['range', 'batch_id'],
      ['equal', 'locked_at'],
    ],
  ],
  [
    '(j.is_available AND (NOT j.held))',
    [
      ['equal', 'is_available'],
      ['equal', 'held'],
    ],
  ],
  ["(ROW(j.a, j.b) >= ROW('x'::text, now()))", [['range', 'a', 'b']]],
  ['(now() >= j.run_at)', [['range', 'run_at']]],
  ['(lower(j.name) = $0)', [['other']]],
  ['((j.a = 1) OR (j.b = 2))', [['other']]],
  ["(j.kind <> 'x'::text)", [['other']]],
  ['(k.id = j.id)', [['equal', 'id']]],
  ['', []],
])('PostgreSQL: %s', (text, expected) => expect(pg(text)).toEqual(expected));

test.each<[string, string[][]]>([
  ["x.s = 'y' and (x.p is null or x.`id` < 7)", [['equal', 's'], ['other']]],
  [
    "((`t`.`x`.`s` = 'y') and (`t`.`x`.`q` between 3 and 4) and `t`.`x`.`k` in (1,2))",
    [
      ['equal', 's'],
      ['range', 'q'],
      ['one-of', 'k'],
    ],
  ],
])('MySQL: %s', (text, expected) => {
  expect(conditionsOf(text, 'x', 'mysql').map(({ columns, kind }) => [kind, ...columns])).toEqual(expected);
});

test('an index is followed by equality, then by one range, and yields an order after it', () => {
  const conditions = conditionsOf(
    "((j.a = 1) AND (j.b > 2) AND (j.c = 3) AND (j.s = ANY ('{x,y}')))",
    'j',
    'postgres',
  );
  const reach = (columns: string[], sortedBy: string[] | null) => {
    const { followed, ordered } = reachOf(columns, conditions, sortedBy);
    return [
      followed
        .map(({ columns: [column] }) => column)
        .sort()
        .join(''),
      ordered,
    ];
  };
  expect(reach(['a', 'b', 'c'], ['b'])).toEqual(['ab', true]);
  expect(reach(['a', 'c', 'b'], ['b'])).toEqual(['abc', true]);
  expect(reach(['a', 'c', 'z'], ['y'])).toEqual(['ac', false]);
  expect(reach(['z', 'a'], null)).toEqual(['', true]);
  expect(reach(['s', 'a', 'z'], ['z'])).toEqual(['as', false]);
  expect(reach(['a', 'z'], [])).toEqual(['a', false]);
});
