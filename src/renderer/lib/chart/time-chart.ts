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
import { hatch, line, themeColor, translucent } from './draw.ts';
import { durationDecades } from './duration-step.ts';
import { isAlone, pointsOf } from './series-points.ts';
import type { Point } from './series-points.ts';
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
  /** A line over a stack and no part of it; after all those that are. */
  over?: boolean;
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
  /** The distance of two ticks for an axis up to `max` with at most `most` parts; round decimals when left out. */
  stepFor?: (max: number, most: number) => number;
  /** Whether times stand under the axis; charts below each other need them once. */
  showTimes: boolean;
  /** Gaps up to this length are drawn through. */
  bridgeMs: number;
  /** A moment that the pointer is at, in this chart or in another one. */
  cursorMs: number | null;
}

export interface ChartEvents {
  /** A range was dragged out. */
  range(fromMs: number, toMs: number): void;
  /** The pointer is at a moment, or has left. */
  cursor(atMs: number | null): void;
}

/** The places of the plot inside the canvas, in px: what stands beside the charts lines up with them. */
export const PLOT_LEFT = 64;
export const PLOT_RIGHT = 8;
const Y_PARTS = 4;
/** Half the width of `16:22:30`, px. */
const LABEL_HALF = 24;

/** Draws into a canvas until disposed of. */
export class TimeChart {
  readonly #canvas: HTMLCanvasElement;
  readonly #chart: Chart<'line', Point[]>;
  #data: ChartData;
  #look = NaN;
  #drag: { fromX: number; toX: number } | null = null;
  /** Resolved colours; a new look at the theme with every update. */
  readonly #colors = new Map<string, string>();
  readonly #listeners = new AbortController();

  constructor(canvas: HTMLCanvasElement, data: ChartData, events: ChartEvents) {
    this.#canvas = canvas;
    this.#data = data;
    this.#chart = new Chart<'line', Point[]>(canvas, this.#configuration());
    this.#listenForDrag(events);
    this.#listenForCursor(events);
  }

  /** `look` is any number that changes with the theme. */
  update(data: ChartData, look: number): void {
    const onlyCursor = look === this.#look && sameButCursor(this.#data, data);
    this.#data = data;
    this.#look = look;
    if (onlyCursor) {
      this.#chart.draw();
      return;
    }
    this.#colors.clear();
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
    const known = this.#colors.get(name);
    if (known !== undefined) return known;
    const color = themeColor(this.#canvas, name);
    this.#colors.set(name, color);
    return color;
  }

  #configuration(): ChartConfiguration<'line', Point[]> {
    const {
      times,
      series,
      fromMs,
      toMs,
      bucketMs,
      stacked,
      log,
      format,
      levels,
      stepFor,
      showTimes,
      bridgeMs,
    } = this.#data;
    const text = this.#color('--text-3');
    const grid = this.#color('--grid-line');
    const font = { family: getComputedStyle(this.#canvas).fontFamily, size: 11 };
    const unfinishedFromMs = Date.now() - bucketMs;
    const points = pointsOf(times, series, { stacked, log, bridgeMs });
    let highest = 0;
    for (const list of points) for (const { y } of list) if (y !== null && y > highest) highest = y;
    // A threshold far above everything would press the line to the ground.
    for (const { value } of levels) if (value <= highest * 4 && value > highest) highest = value;
    const stepSize = stepFor?.(highest, Y_PARTS);
    const labels = new Map<number, string>();
    const datasets = series.map((one, index): ChartDataset<'line', Point[]> => {
      const color = this.#color(one.color);
      const own = points[index] ?? [];
      return {
        label: one.label,
        data: own,
        borderColor: color,
        backgroundColor: translucent(color),
        fill: one.fill === true ? (stacked && index > 0 && one.over !== true ? '-1' : 'origin') : false,
        borderWidth: 1.5,
        borderDash: one.dashed === true ? [4, 3] : [],
        segment: {
          borderDash: ({ p1 }) =>
            p1.parsed.x !== null && p1.parsed.x > unfinishedFromMs ? [3, 3] : undefined,
        },
        pointRadius: (context) => (isAlone(own, context.dataIndex) ? 1.5 : 0),
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
        layout: { padding: { top: 4, right: PLOT_RIGHT } },
        scales: {
          x: {
            type: 'linear',
            min: fromMs,
            max: toMs,
            grid: { color: grid, drawTicks: false },
            border: { display: false },
            ticks: {
              display: showTimes,
              color: text,
              font,
              maxRotation: 0,
              autoSkip: false,
              padding: 4,
              callback: (value) => labels.get(Number(value)) ?? '',
            },
            afterBuildTicks: (axis) => {
              const ticks = timeTicks(fromMs, toMs, Math.max(3, Math.floor(axis.width / 96))).filter(
                // A label that would stand over the edge is left out.
                ({ atMs }) => ((toMs - atMs) / (toMs - fromMs)) * axis.width > LABEL_HALF - PLOT_RIGHT,
              );
              for (const { atMs, label } of ticks) labels.set(atMs, label);
              axis.ticks = ticks.map(({ atMs }) => ({ value: atMs }));
            },
            // No room for labels that hang over: the plots must stand exactly below each other.
            afterFit: (axis) => {
              axis.paddingLeft = 0;
              axis.paddingRight = 0;
            },
          },
          y: {
            type: log ? 'logarithmic' : 'linear',
            ...(log
              ? {}
              : {
                  beginAtZero: true,
                  suggestedMax:
                    stepSize === undefined ? highest : Math.ceil(highest / stepSize - 1e-9) * stepSize,
                }),
            grid: { color: grid, drawTicks: false },
            border: { display: false },
            // One width for every chart: their time axes must stand exactly below each other.
            afterFit: (axis) => {
              axis.width = PLOT_LEFT;
            },
            ticks: {
              color: text,
              font,
              padding: 8,
              maxTicksLimit: Y_PARTS + 1,
              ...(log || stepSize === undefined ? {} : { stepSize }),
              callback: (value) => format(Number(value)),
            },
            afterBuildTicks: (axis) => {
              if (log && stepFor !== undefined)
                axis.ticks = durationDecades
                  .filter((value) => value >= axis.min && value <= axis.max)
                  .map((value) => ({ value }));
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
              label: (item) => {
                const own = (item.dataset.data[item.dataIndex] as Point | undefined)?.own ?? null;
                return `${item.dataset.label ?? ''}  ${own === null ? 'no data' : format(own)}`;
              },
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
        ctx.strokeStyle = this.#color('--border-strong');
        for (const gap of this.#data.gaps) hatch(ctx, area, x(gap.fromMs), x(gap.toMs ?? this.#data.toMs));
        ctx.setLineDash([2, 3]);
        for (const level of this.#data.levels) {
          const y = scales['y']?.getPixelForValue(level.value) ?? 0;
          if (y < area.top || y > area.bottom) continue;
          ctx.strokeStyle = this.#color(level.color);
          line(ctx, area.left, y, area.right, y);
        }
        ctx.setLineDash([]);
        ctx.globalAlpha = 0.5;
        for (const mark of this.#data.marks) {
          ctx.strokeStyle = this.#color(mark.severity === null ? '--border-strong' : `--${mark.severity}`);
          line(ctx, x(mark.atMs), area.top, x(mark.atMs), area.bottom);
        }
        ctx.globalAlpha = 1;
        if (this.#data.cursorMs !== null) {
          ctx.strokeStyle = this.#color('--control-border');
          line(ctx, x(this.#data.cursorMs), area.top, x(this.#data.cursorMs), area.bottom);
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

  #listenForCursor(events: ChartEvents): void {
    const { signal } = this.#listeners;
    this.#canvas.addEventListener(
      'pointermove',
      ({ offsetX }) => {
        const axis = this.#chart.scales['x'];
        const atMs = axis?.getValueForPixel(offsetX);
        events.cursor(atMs === undefined || atMs < this.#data.fromMs || atMs > this.#data.toMs ? null : atMs);
      },
      { signal },
    );
    this.#canvas.addEventListener('pointerleave', () => events.cursor(null), { signal });
  }

  #listenForDrag(events: ChartEvents): void {
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
        events.range(Math.max(fromMs, this.#data.fromMs), Math.min(toMs, this.#data.toMs));
      else this.#chart.draw();
    };
    canvas.addEventListener('pointerup', end, { signal });
    canvas.addEventListener('pointercancel', end, { signal });
  }
}

function sameButCursor(before: ChartData, after: ChartData): boolean {
  if (before.cursorMs === after.cursorMs) return false;
  const { cursorMs: _before, ...a } = before;
  const { cursorMs: _after, ...b } = after;
  return Object.entries(a).every(([key, value]) => b[key as keyof typeof b] === value);
}
