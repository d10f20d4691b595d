import { describe, expect, it } from 'vitest';
import { MemoryPressure } from './memory-pressure.ts';

describe('MemoryPressure', () => {
  it('rises at 75, 80 and 90 % of the limit and may skip a level', () => {
    const pressure = new MemoryPressure();
    expect([74, 75, 79, 80, 90].map((used) => pressure.update(used, 100))).toEqual([
      'normal',
      'claim-less',
      'claim-less',
      'recycle',
      'stop-claiming',
    ]);
    expect(new MemoryPressure().update(95, 100)).toBe('stop-claiming');
  });

  it('leaves a level only some way below it', () => {
    const pressure = new MemoryPressure();
    pressure.update(91, 100);
    expect([89, 88, 86, 78, 76, 73, 71].map((used) => pressure.update(used, 100))).toEqual([
      'stop-claiming',
      'stop-claiming',
      'recycle',
      'recycle',
      'claim-less',
      'claim-less',
      'normal',
    ]);
  });
});
