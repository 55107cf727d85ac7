import { type MetricForm, type MetricName, maximumSeries, metricForms } from './table.ts';

/** Values of a metric's labels, in its order. */
export type LabelValues = readonly (string | number)[];

/** Counts, in Prometheus' text format 0.0.4. */
export interface Metrics {
  /** Adds to a counter. */
  count(name: MetricName, labels?: LabelValues, by?: number): void;
  /** Sets a gauge, or what a counter elsewhere stands at. */
  set(name: MetricName, value: number, labels?: LabelValues): void;
  /** A value more in a histogram. */
  observe(name: MetricName, value: number, labels?: LabelValues): void;
  /** Forgets all values of a gauge: those that still are, are set anew. */
  clear(name: MetricName): void;
  /** Called before each text. It must not throw. */
  onRead(collect: () => Promise<void> | void): void;
  text(): Promise<string>;
}

interface Series {
  /** Of a counter or a gauge; a histogram's sum. */
  value: number;
  /** Of a histogram: how many are in each bucket alone, the last one for what is above all bounds. */
  readonly buckets: number[];
}

export function createMetrics(): Metrics {
  const all = new Map<MetricName, Map<string, Series>>();
  const collectors: (() => Promise<void> | void)[] = [];
  const seriesOf = (name: MetricName, values: LabelValues): Series => {
    const form: MetricForm = metricForms[name];
    const own = all.get(name) ?? new Map<string, Series>();
    all.set(name, own);
    const key = labelText(form.labels, values);
    const isRoom = own.size < maximumSeries || own.has(key);
    const kept = isRoom
      ? key
      : labelText(
          form.labels,
          form.labels.map(() => 'other'),
        );
    const known = own.get(kept) ?? { value: 0, buckets: (form.buckets ? [...form.buckets, 0] : []).map(() => 0) };
    own.set(kept, known);
    return known;
  };
  return {
    count(name, labels = [], by = 1) {
      seriesOf(name, labels).value += by;
    },
    set(name, value, labels = []) {
      seriesOf(name, labels).value = value;
    },
    observe(name, value, labels = []) {
      const series = seriesOf(name, labels);
      const { buckets: bounds = [] }: MetricForm = metricForms[name];
      const place = bounds.findIndex((bound) => value <= bound);
      const index = place === -1 ? bounds.length : place;
      series.buckets[index] = (series.buckets[index] ?? 0) + 1;
      series.value += value;
    },
    clear: (name) => void all.get(name)?.clear(),
    onRead: (collect) => void collectors.push(collect),
    async text() {
      for (const collect of collectors) await collect();
      const lines: string[] = [];
      for (const [name, form] of Object.entries(metricForms) as [MetricName, MetricForm][]) {
        lines.push(`# HELP ${name} ${form.help}`, `# TYPE ${name} ${form.type}`);
        for (const [labels, series] of all.get(name) ?? []) lines.push(...linesOf(name, form, labels, series));
      }
      return `${lines.join('\n')}\n`;
    },
  };
}

function linesOf(name: string, { buckets: bounds }: MetricForm, labels: string, { value, buckets }: Series): string[] {
  if (bounds === undefined) return [`${name}${braces(labels)} ${number(value)}`];
  let count = 0;
  const lines = [...bounds, Number.POSITIVE_INFINITY].map((bound, index) => {
    count += buckets[index] ?? 0;
    const le = `le="${bound === Number.POSITIVE_INFINITY ? '+Inf' : bound}"`;
    return `${name}_bucket${braces(labels === '' ? le : `${labels},${le}`)} ${count}`;
  });
  return [...lines, `${name}_sum${braces(labels)} ${number(value)}`, `${name}_count${braces(labels)} ${count}`];
}

/** Backslash, quote and line feed are escaped ("Text format details"). */
function labelText(names: readonly string[], values: LabelValues): string {
  if (names.length !== values.length) throw new Error(`${names.length} labels are named, and ${values.length} given`);
  const escaped = (text: string) => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
  return names.map((name, index) => `${name}="${escaped(String(values[index]))}"`).join(',');
}

function braces(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

function number(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(12)));
}
