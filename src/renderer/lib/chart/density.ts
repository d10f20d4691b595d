// A plane of counts over two logarithmic axes as a picture: sizes to the right, durations upwards.
import type { TimingSizes } from '../../../contract/log-search.ts';

export interface DensityColors {
  text: string;
  grid: string;
  cells: string;
  fit: string;
}

export interface DensityWords {
  size: (bytes: number) => string;
  ms: (ms: number) => string;
}

const MARGIN = { left: 64, right: 12, top: 8, bottom: 24 };
/** A cell of one record is still seen. */
const FAINTEST = 0.14;
/** Room for a label, px. */
const LABEL = { wide: 72, high: 28 };

/** Draws into a canvas of `width` × `height` CSS px. */
export function drawDensity(
  ctx: CanvasRenderingContext2D,
  { width, height }: { width: number; height: number },
  sizes: TimingSizes,
  colors: DensityColors,
  words: DensityWords,
): void {
  const area = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: height - MARGIN.bottom,
  };
  const x = logScale(sizes.sizeEdges, area.left, area.right);
  const y = logScale(sizes.msEdges, area.bottom, area.top);
  if (x === null || y === null) return;
  ctx.clearRect(0, 0, width, height);
  const most = Math.max(1, ...sizes.density.map((row) => Math.max(0, ...row)));
  ctx.fillStyle = colors.cells;
  sizes.density.forEach((row, i) => {
    row.forEach((count, j) => {
      if (count === 0) return;
      const [left, right] = [x(sizes.sizeEdges[i] ?? 0), x(sizes.sizeEdges[i + 1] ?? 0)];
      const [bottom, top] = [y(sizes.msEdges[j] ?? 0), y(sizes.msEdges[j + 1] ?? 0)];
      ctx.globalAlpha = FAINTEST + (1 - FAINTEST) * (Math.log(count) / Math.max(Math.log(most), 1));
      ctx.fillRect(left, top, Math.max(1, right - left - 0.5), Math.max(1, bottom - top - 0.5));
    });
  });
  ctx.globalAlpha = 1;
  ctx.font = `11px ${getComputedStyle(ctx.canvas).fontFamily}`;
  ctx.lineWidth = 1;
  ctx.strokeStyle = colors.grid;
  ctx.fillStyle = colors.text;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'right';
  for (const ms of decades(sizes.msEdges, (area.bottom - area.top) / LABEL.high)) {
    stroke(ctx, area.left, y(ms), area.right, y(ms));
    ctx.fillText(words.ms(ms), area.left - 8, y(ms));
  }
  ctx.textBaseline = 'alphabetic';
  ctx.textAlign = 'center';
  for (const bytes of decades(sizes.sizeEdges, (area.right - area.left) / LABEL.wide)) {
    stroke(ctx, x(bytes), area.top, x(bytes), area.bottom);
    ctx.fillText(words.size(bytes), x(bytes), height - 6);
  }
  if (sizes.fit === null) return;
  const { slope, intercept } = sizes.fit;
  const [from = 1, to = 1] = [sizes.sizeEdges[0], sizes.sizeEdges.at(-1)];
  const fitted = (bytes: number): number => y(Math.exp(intercept) * Math.max(bytes, 1) ** slope);
  ctx.save();
  ctx.beginPath();
  ctx.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
  ctx.clip();
  ctx.strokeStyle = colors.fit;
  ctx.lineWidth = 2;
  ctx.setLineDash([6, 4]);
  stroke(ctx, x(from), fitted(from), x(to), fitted(to));
  ctx.restore();
}

function logScale(edges: readonly number[], start: number, end: number): ((value: number) => number) | null {
  const [from, to] = [edges[0], edges.at(-1)];
  if (from === undefined || to === undefined || from <= 0 || to <= from) return null;
  const unit = (end - start) / Math.log(to / from);
  return (value) => start + Math.log(Math.max(value, 1e-9) / from) * unit;
}

/** Powers of ten between the edges, at most `most` of them. */
export function decades(edges: readonly number[], most: number): number[] {
  const [from = 1, to = 1] = [edges[0], edges.at(-1)];
  const [first, last] = [Math.ceil(Math.log10(from) - 1e-9), Math.floor(Math.log10(to) + 1e-9)];
  const step = Math.max(1, Math.ceil((last - first + 1) / Math.max(1, most)));
  const values: number[] = [];
  for (let power = first; power <= last; power += step) values.push(10 ** power);
  return values;
}

function stroke(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
