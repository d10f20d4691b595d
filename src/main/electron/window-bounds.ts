import type { Rectangle } from 'electron';
import { z } from 'zod';

const rectangle = z.object({ x: z.int(), y: z.int(), width: z.int().positive(), height: z.int().positive() });

/** How the window was left. */
export const windowStateSchema = z.object({ bounds: rectangle, maximized: z.boolean() });
export type WindowState = z.infer<typeof windowStateSchema>;

export const MIN_WIDTH = 1024;
export const MIN_HEIGHT = 640;
const DEFAULT_WIDTH = 1440;
const DEFAULT_HEIGHT = 900;
/** So much of a window must lie on a screen for a hand to get hold of it. */
const GRIP = 120;

/**
 * Where to open the window: as it was left, if the screen it was on is still there, moved and cut so that all of it
 * lies on that screen; else in the middle of the first screen.
 */
export function fitBounds(
  saved: Rectangle | null,
  workAreas: readonly [Rectangle, ...Rectangle[]],
): Rectangle {
  const home = saved === null ? undefined : workAreas.find((area) => overlaps(saved, area));
  if (saved === null || home === undefined) {
    const [first] = workAreas;
    const width = Math.min(DEFAULT_WIDTH, first.width);
    const height = Math.min(DEFAULT_HEIGHT, first.height);
    const x = first.x + Math.floor((first.width - width) / 2);
    return { x, y: first.y + Math.floor((first.height - height) / 2), width, height };
  }
  const width = Math.min(Math.max(saved.width, MIN_WIDTH), home.width);
  const height = Math.min(Math.max(saved.height, MIN_HEIGHT), home.height);
  return {
    x: clamp(saved.x, home.x, home.x + home.width - width),
    y: clamp(saved.y, home.y, home.y + home.height - height),
    width,
    height,
  };
}

function overlaps(window: Rectangle, area: Rectangle): boolean {
  const right = Math.min(window.x + window.width, area.x + area.width);
  const bottom = Math.min(window.y + window.height, area.y + area.height);
  return right - Math.max(window.x, area.x) >= GRIP && bottom - Math.max(window.y, area.y) >= GRIP;
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
