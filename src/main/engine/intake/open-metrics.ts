// OpenMetrics 1.0 text (https://prometheus.io/docs/specs/om/open_metrics_spec/): families with # TYPE, # UNIT left
// out, # HELP, their samples together, `# EOF` at the end.

export const OPEN_METRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

export type Labels = Readonly<Record<string, string | number>>;

/** Builds the text family by family, in the order of the calls. */
export class OpenMetricsText {
  readonly #lines: string[] = [];

  /** A value that goes up and down. A null value is left out: unknown is not zero. */
  gauge(name: string, help: string, samples: Iterable<[Labels, number | null]>): void {
    this.#family(name, 'gauge', help);
    for (const [labels, value] of samples) if (value !== null) this.#sample(name, labels, value);
  }

  /** A value that only goes up while the process lives; the samples are called NAME_total. */
  counter(name: string, help: string, samples: Iterable<[Labels, number]>): void {
    this.#family(name, 'counter', help);
    for (const [labels, value] of samples) this.#sample(`${name}_total`, labels, value);
  }

  /** One of several states: 1 for the present one, 0 for the others; the label is called like the family. */
  stateset(name: string, help: string, states: readonly string[], samples: Iterable<[Labels, string]>): void {
    this.#family(name, 'stateset', help);
    for (const [labels, present] of samples)
      for (const state of states) this.#sample(name, { ...labels, [name]: state }, state === present ? 1 : 0);
  }

  /** `counts[i]` observations were at most `bounds[i]` and more than the bound before; one count more for the rest. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    samples: Iterable<[Labels, { counts: readonly number[]; sum: number }]>,
  ): void {
    this.#family(name, 'histogram', help);
    for (const [labels, { counts, sum }] of samples) {
      let below = 0;
      for (const [i, count] of counts.entries()) {
        below += count;
        // `le` is a float by the specification: 1 is written 1.0.
        const bound = bounds[i];
        const le = bound === undefined ? '+Inf' : Number.isInteger(bound) ? bound.toFixed(1) : String(bound);
        this.#sample(`${name}_bucket`, { ...labels, le }, below);
      }
      this.#sample(`${name}_sum`, labels, sum);
      this.#sample(`${name}_count`, labels, below);
    }
  }

  /** What does not change while the process lives, as labels of a sample that is always 1. */
  info(name: string, help: string, labels: Labels): void {
    this.#family(name, 'info', help);
    this.#sample(`${name}_info`, labels, 1);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n# EOF\n`;
  }

  #family(name: string, type: string, help: string): void {
    this.#lines.push(`# TYPE ${name} ${type}`, `# HELP ${name} ${escaped(help)}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const inner = Object.entries(labels).map(([key, text]) => `${key}="${escaped(String(text))}"`);
    this.#lines.push(`${name}${inner.length === 0 ? '' : `{${inner.join(',')}}`} ${value}`);
  }
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
