import { describe, expect, it } from 'vitest';
import { durationStep } from './duration-step.ts';
import { pointsOf } from './series-points.ts';
import { stageGradient, stageParts } from './stage-colors.ts';

const ys = (points: ReturnType<typeof pointsOf>): (number | null)[][] =>
  points.map((one) => one.map(({ y }) => y));

describe('pointsOf', () => {
  const plain = { stacked: false, log: false, bridgeMs: 0 };
  it('stacks values, and keeps a gap of all as a gap', () => {
    const series = [{ values: [1, null, 2] }, { values: [10, null, null] }];
    const points = pointsOf([0, 1, 2], series, { ...plain, stacked: true });
    expect(ys(points)).toEqual([
      [1, null, 2],
      [11, null, 2],
    ]);
    expect(points[1]?.map(({ own }) => own)).toEqual([10, null, null]);
  });

  it('leaves a line over a stack out of it', () => {
    const series = [{ values: [1, null] }, { values: [7, 9], over: true }, { values: [10, null] }];
    expect(ys(pointsOf([0, 1], series, { ...plain, stacked: true }))).toEqual([
      [1, null],
      [7, 9],
      [11, null],
    ]);
  });

  it('draws through short gaps alone, without making up values', () => {
    const values = [0, null, 20, null, null, null, 60];
    const [points = []] = pointsOf([0, 10, 20, 30, 40, 50, 60], [{ values }], { ...plain, bridgeMs: 20 });
    expect(points.map(({ y }) => y)).toEqual([0, 10, 20, null, null, null, 60]);
    expect(points[1]?.own).toBeNull();
  });

  it('draws nothing at zero on a logarithmic axis', () => {
    expect(ys(pointsOf([0, 1], [{ values: [0, 5] }], { ...plain, log: true }))).toEqual([[null, 5]]);
  });
});

describe('durationStep', () => {
  it.each([
    [0, 1],
    [900, 500],
    [30_000, 10_000],
    [320_000, 120_000],
    [7 * 3_600_000, 2 * 3_600_000],
  ])('divides %d ms by %d', (maxMs, step) => {
    expect(durationStep(maxMs, 4)).toBe(step);
  });
});

describe('stages', () => {
  it('leaves the wait out of the run and shows what is left over', () => {
    expect(stageParts({ wait: 30_000, load: 10, deliver: 80 }, 100)).toEqual([
      { stage: 'load', ms: 10 },
      { stage: 'deliver', ms: 80 },
      { stage: 'other', ms: 10 },
    ]);
    expect(stageGradient({ load: 50, deliver: 50 }, 100)).toBe(
      'linear-gradient(90deg, var(--series-1) 0.0% 50.0%, var(--series-4) 50.0% 100.0%)',
    );
    expect(stageGradient({}, 0)).toBe('none');
  });
});
