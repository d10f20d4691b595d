// Chart.js behind one class: series over one time axis, gaps as hatched bands, marks, a range dragged out.
// Nothing else in the window imports Chart.js.
import {
  BarController,
  BarElement,
  Chart,
  Filler,
  LinearScale,
  LineController,
  LineElement,
  LogarithmicScale,
  PointElement,
  Tooltip,
  type ChartConfiguration,
  type ChartDataset,
  type Plugin,
} from 'chart.js';
import type { HistoryMark } from '../../../contract/history.ts';
import { timeTicks } from './time-ticks.ts';

Chart.register(
  LineController,
  LineElement,
  PointElement,
  BarController,
  BarElement,
  LinearScale,
  LogarithmicScale,
  Filler,
  Tooltip,
);

export interface Series {
  label: string;
  /** Name of a colour in theme.css: `--series-1`. */
  color: string;
  values: readonly (number | null)[];
  fill?: boolean;
  dashed?: boolean;
}

export interface ChartData {
  times: readonly number[];
  series: readonly Series[];
  fromMs: number;
  toMs: number;
  /** Length of a bucket; the last one, which is not finished, is drawn dashed. */
  bucketMs: number;
  stacked: boolean;
  log: boolean;
  gaps: readonly { fromMs: number; toMs: number | null; reason: string }[];
  marks: readonly HistoryMark[];
  format: (value: number) => string;
  /** Horizontal lines: thresholds. */
  levels: readonly { value: number; color: string }[];
}

interface Point {
  x: number;
  y: number | null;
}

/** Draws into a canvas until disposed of; `onRange` is called with a range that was dragged out. */
export class TimeChart {
  readonly #canvas: HTMLCanvasElement;
  readonly #chart: Chart<'line', Point[]>;
  #data: ChartData;
  #drag: { fromX: number; toX: number } | null = null;
  readonly #listeners = new AbortController();

  constructor(canvas: HTMLCanvasElement, data: ChartData, onRange: (fromMs: number, toMs: number) => void) {
    this.#canvas = canvas;
    this.#data = data;
    this.#chart = new Chart<'line', Point[]>(canvas, this.#configuration());
    this.#listenForDrag(onRange);
  }

  update(data: ChartData): void {
    this.#data = data;
    const { options, data: datasets } = this.#configuration();
    this.#chart.options = options ?? {};
    this.#chart.data = datasets;
    this.#chart.update('none');
  }

  [Symbol.dispose](): void {
    this.#listeners.abort();
    this.#chart.destroy();
  }

  #color(name: string): string {
    // Computed on an element, because a custom property's light-dark() is resolved only where it is used.
    const probe = this.#canvas.ownerDocument.createElement('i');
    probe.style.color = `var(${name})`;
    this.#canvas.parentElement?.append(probe);
    const color = getComputedStyle(probe).color;
    probe.remove();
    return color;
  }

  #configuration(): ChartConfiguration<'line', Point[]> {
    const { times, series, fromMs, toMs, bucketMs, stacked, log, format, levels } = this.#data;
    const text = this.#color('--text-3');
    const grid = this.#color('--grid-line');
    const font = { family: getComputedStyle(this.#canvas).fontFamily, size: 11 };
    const highest = Math.max(0, ...levels.map((level) => level.value));
    const unfinishedFromMs = Date.now() - bucketMs;
    const datasets = series.map((one): ChartDataset<'line', Point[]> => {
      const color = this.#color(one.color);
      return {
        label: one.label,
        data: times.map((x, index) => ({ x, y: positive(one.values[index] ?? null, log) })),
        borderColor: color,
        backgroundColor: translucent(color),
        fill: one.fill === true ? (stacked ? 'stack' : 'origin') : false,
        borderWidth: 1.5,
        borderDash: one.dashed === true ? [4, 3] : [],
        segment: {
          borderDash: ({ p1 }) =>
            p1.parsed.x !== null && p1.parsed.x > unfinishedFromMs ? [3, 3] : undefined,
        },
        pointRadius: (context) => (isAlone(one.values, context.dataIndex) ? 1.5 : 0),
        pointHoverRadius: 3,
        pointBackgroundColor: color,
        spanGaps: false,
      };
    });
    return {
      type: 'line',
      data: { datasets },
      plugins: [this.#overlay()],
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        parsing: false,
        normalized: true,
        events: ['mousemove', 'mouseout'],
        interaction: { mode: 'index', intersect: false },
        layout: { padding: { top: 4, right: 8 } },
        scales: {
          x: {
            type: 'linear',
            min: fromMs,
            max: toMs,
            grid: { color: grid, drawTicks: false },
            border: { display: false },
            ticks: { color: text, font, maxRotation: 0, autoSkip: false, padding: 4 },
            afterBuildTicks: (axis) => {
              axis.ticks = timeTicks(fromMs, toMs, Math.max(3, Math.floor(axis.width / 96))).map(
                ({ atMs, label }) => ({ value: atMs, label }),
              );
            },
          },
          y: {
            type: log ? 'logarithmic' : 'linear',
            stacked,
            ...(log ? {} : { beginAtZero: true, suggestedMax: highest }),
            grid: { color: grid, drawTicks: false },
            border: { display: false },
            // One width for every chart: their time axes must stand exactly below each other.
            afterFit: (axis) => {
              axis.width = 64;
            },
            ticks: {
              color: text,
              font,
              padding: 8,
              maxTicksLimit: 5,
              callback: (value) => format(Number(value)),
            },
          },
        },
        plugins: {
          tooltip: {
            animation: false,
            backgroundColor: this.#color('--raised'),
            titleColor: this.#color('--text'),
            bodyColor: this.#color('--text'),
            borderColor: this.#color('--border-strong'),
            borderWidth: 1,
            padding: 8,
            boxWidth: 8,
            boxHeight: 8,
            titleFont: font,
            bodyFont: font,
            callbacks: {
              title: ([item]) =>
                item?.parsed.x == null ? '' : new Date(item.parsed.x).toLocaleString('en-GB'),
              label: (item) =>
                `${item.dataset.label ?? ''}  ${item.parsed.y === null ? 'no data' : format(item.parsed.y)}`,
            },
          },
        },
      },
    };
  }

  /** Gaps, thresholds, marks and the range under the pointer. Reads the newest data at every draw. */
  #overlay(): Plugin<'line'> {
    return {
      id: 'overlay',
      beforeDatasetsDraw: (chart) => {
        const { ctx, chartArea: area, scales } = chart;
        const x = (ms: number) =>
          Math.min(area.right, Math.max(area.left, scales['x']?.getPixelForValue(ms) ?? area.left));
        ctx.save();
        ctx.fillStyle = this.#color('--hover');
        for (const gap of this.#data.gaps) {
          const left = x(gap.fromMs);
          ctx.fillRect(
            left,
            area.top,
            Math.max(1, x(gap.toMs ?? this.#data.toMs) - left),
            area.bottom - area.top,
          );
        }
        ctx.setLineDash([2, 3]);
        for (const level of this.#data.levels) {
          const y = scales['y']?.getPixelForValue(level.value) ?? 0;
          if (y < area.top || y > area.bottom) continue;
          ctx.strokeStyle = this.#color(level.color);
          line(ctx, area.left, y, area.right, y);
        }
        ctx.setLineDash([]);
        for (const mark of this.#data.marks) {
          ctx.strokeStyle = this.#color(mark.severity === null ? '--border-strong' : `--${mark.severity}`);
          line(ctx, x(mark.atMs), area.top, x(mark.atMs), area.bottom);
        }
        if (this.#drag !== null) {
          ctx.fillStyle = translucent(this.#color('--accent'));
          const { fromX, toX } = this.#drag;
          ctx.fillRect(Math.min(fromX, toX), area.top, Math.abs(toX - fromX), area.bottom - area.top);
        }
        ctx.restore();
      },
    };
  }

  #listenForDrag(onRange: (fromMs: number, toMs: number) => void): void {
    const { signal } = this.#listeners;
    const canvas = this.#canvas;
    canvas.addEventListener(
      'pointerdown',
      (event) => {
        if (event.button !== 0) return;
        canvas.setPointerCapture(event.pointerId);
        this.#drag = { fromX: event.offsetX, toX: event.offsetX };
      },
      { signal },
    );
    canvas.addEventListener(
      'pointermove',
      (event) => {
        if (this.#drag === null) return;
        this.#drag = { ...this.#drag, toX: event.offsetX };
        this.#chart.draw();
      },
      { signal },
    );
    const end = (event: PointerEvent): void => {
      const drag = this.#drag;
      this.#drag = null;
      const axis = this.#chart.scales['x'];
      if (drag === null || axis === undefined) return;
      const [fromMs, toMs] = [drag.fromX, event.offsetX]
        .map((at) => axis.getValueForPixel(at) ?? 0)
        .sort((a, b) => a - b) as [number, number];
      // A click is no range.
      if (event.type === 'pointerup' && Math.abs(event.offsetX - drag.fromX) > 6)
        onRange(Math.max(fromMs, this.#data.fromMs), Math.min(toMs, this.#data.toMs));
      else this.#chart.draw();
    };
    canvas.addEventListener('pointerup', end, { signal });
    canvas.addEventListener('pointercancel', end, { signal });
  }
}

function line(ctx: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

/** A logarithmic axis has no zero; what is not above it is not drawn. */
const positive = (value: number | null, log: boolean): number | null =>
  log && value !== null && value <= 0 ? null : value;

/** A value between two gaps has no line; it gets a point. */
const isAlone = (values: readonly (number | null)[], index: number): boolean =>
  (values[index] ?? null) !== null &&
  (values[index - 1] ?? null) === null &&
  (values[index + 1] ?? null) === null;

const translucent = (color: string): string => `color-mix(in srgb, ${color} 24%, transparent)`;
