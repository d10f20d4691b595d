import { describe, expect, it } from 'vitest';
import { Spark } from './spark.ts';

const MINUTE = 60_000;

describe('Spark', () => {
  it('keeps the largest lag of each bucket', () => {
    const spark = new Spark(MINUTE);
    for (const [second, lagMs] of [
      [0, 100],
      [20, 900],
      [40, 300],
      [60, 50],
    ] as const)
      spark.add(second * 1_000, lagMs);
    expect(spark.values).toEqual([900, 50]);
  });

  it('leaves a hole where nothing was measured, and none where something was', () => {
    const spark = new Spark(MINUTE);
    spark.add(0, null);
    spark.add(MINUTE, 70);
    spark.add(MINUTE + 1, null);
    spark.add(2 * MINUTE, null);
    spark.add(2 * MINUTE + 1, 0);
    spark.add(5 * MINUTE, 80);
    expect(spark.values).toEqual([null, 70, 0, null, null, 80]);
  });

  it('shows the last hour of minutes, also after a pause of days', () => {
    const spark = new Spark(MINUTE);
    for (let minute = 0; minute < 100; minute++) spark.add(minute * MINUTE, minute);
    expect(spark.values).toEqual(Array.from({ length: 60 }, (_, index) => index + 40));
    spark.add(10_000 * MINUTE, 7);
    expect(spark.values).toHaveLength(60);
    expect(spark.values.slice(-2)).toEqual([null, 7]);
    expect(spark.values.filter((value) => value !== null)).toEqual([7]);
  });

  it('is another array only when it shows something else', () => {
    const spark = new Spark(MINUTE);
    spark.add(0, 500);
    const { values } = spark;
    spark.add(1, 500);
    spark.add(2, 499);
    spark.add(3, null);
    expect(spark.values).toBe(values);
    spark.add(4, 501);
    expect(spark.values).not.toBe(values);
    expect(values).toEqual([500]);
  });

  it('does not rewrite the past when the clock is set back', () => {
    const spark = new Spark(MINUTE);
    spark.add(10 * MINUTE, 5);
    spark.add(9 * MINUTE, 9_999);
    expect(spark.values).toEqual([5]);
    spark.add(11 * MINUTE, 6);
    expect(spark.values).toEqual([5, 6]);
  });
});
