// Strokes and tints of the charts.
/** A band of slanting lines: nothing was measured here. */
export function hatch(
  ctx: CanvasRenderingContext2D,
  area: { top: number; bottom: number },
  left: number,
  right: number,
): void {
  const height = area.bottom - area.top;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, area.top, Math.max(1, right - left), height);
  ctx.clip();
  for (let x = left - height; x < right; x += 6) line(ctx, x, area.bottom, x + height, area.top);
  ctx.restore();
}

export function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

/**
 * A colour of theme.css as it is just now; `beside` is an element that has it. Computed on an element, because a
 * custom property's light-dark() is resolved only where it is used.
 */
export function themeColor(beside: Element, name: string): string {
  const probe = beside.ownerDocument.createElement('i');
  probe.style.color = `var(${name})`;
  beside.parentElement?.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** A colour thin enough to see a grid through. */
export const translucent = (color: string): string => `color-mix(in srgb, ${color} 24%, transparent)`;
