import { beforeEach, expect, it } from 'vitest';
import { Painter } from './painter.svelte.ts';

let nowMs: number;
let waiting: (() => void) | null;
let painter: Painter;
let painted: string[];
/** One animation frame, 16 ms later. */
function frame(): void {
  nowMs += 16;
  const callback = waiting;
  waiting = null;
  callback?.();
}
beforeEach(() => {
  nowMs = 0;
  waiting = null;
  painted = [];
  painter = new Painter({
    request: (callback) => {
      waiting = callback;
      return 1;
    },
    cancel: () => (waiting = null),
    now: () => nowMs,
  });
});
const paint = (): void => void painted.push('rows');

it('paints once for many requests, at most 10 times a second', () => {
  painter.request(paint);
  painter.request(paint);
  frame();
  expect(painted).toHaveLength(1);
  for (let i = 0; i < 60; i += 1) {
    painter.request(paint);
    frame();
  }
  expect(painted.length).toBeGreaterThan(8);
  expect(painted.length).toBeLessThanOrEqual(11);
});

it('paints nothing while paused, and what arrived meanwhile at once', () => {
  painter.toggle(1);
  painter.request(paint);
  frame();
  expect(painted).toEqual([]);
  painter.toggle(2);
  frame();
  expect(painted).toEqual(['rows']);
});

it('paints nothing for who is gone, and asks for no frame without need', () => {
  painter.request(paint);
  painter.forget(paint);
  frame();
  expect(painted).toEqual([]);
  expect(waiting).toBeNull();
});

it('paints two parts in two frames', () => {
  painter.request(paint);
  painter.request(() => painted.push('totals'));
  frame();
  expect(painted).toEqual(['rows']);
  frame();
  expect(painted).toEqual(['rows', 'totals']);
});
