import { expect, test } from 'vitest';
import { tableReads } from './mysql-plan.ts';

const told = (plan: unknown) =>
  tableReads(plan).map(({ alias, rows, loops, sortedBy, usesKey }) => [
    alias,
    rows,
    loops,
    sortedBy,
    usesKey,
  ]);

test('MariaDB: a sort by one table, a join within it', () => {
  const plan = {
    query_block: {
      select_id: 1,
      nested_loop: [
        {
          read_sorted_file: {
            filesort: {
              sort_key: 'x.p desc, x.`run at` desc',
              table: {
                table_name: 'x',
                access_type: 'range',
                rows: 2000,
                filtered: 50,
                used_key_parts: ['q'],
              },
            },
          },
        },
        { table: { table_name: 'y', access_type: 'ref', rows: 3, filtered: 100 } },
      ],
    },
  };
  expect(told(plan)).toEqual([
    ['x', 2000, 1, ['p', 'run at'], true],
    ['y', 3, 1000, null, true],
  ]);
});

test('MySQL: an order that is sorted, parts of a union, a derived table', () => {
  const ordering = {
    using_filesort: true,
    table: { table_name: 'j', access_type: 'ALL', rows_examined_per_scan: 1000, filtered: '10.00' },
  };
  expect(told({ query_block: { ordering_operation: ordering } })).toEqual([['j', 1000, 1, [], false]]);
  const scan = (name: string, rows: number) => ({
    query_block: { table: { table_name: name, access_type: 'ALL', rows_examined_per_scan: rows } },
  });
  const union = { query_block: { union_result: { query_specifications: [scan('a', 10), scan('b', 20)] } } };
  expect(told(union)).toEqual([
    ['a', 10, 1, null, false],
    ['b', 20, 1, null, false],
  ]);
  const derived = {
    query_block: {
      table: {
        table_name: '<derived2>',
        access_type: 'ALL',
        rows_examined_per_scan: 5,
        materialized_from_subquery: scan('c', 40),
      },
    },
  };
  expect(told(derived)).toEqual([['c', 40, 1, null, false]]);
});

test('a plan of another form names no table', () => {
  expect(tableReads({ query_plan: { operation: 'Table scan on j' } })).toEqual([]);
  expect(tableReads('gibberish')).toEqual([]);
});
