/** Counts for Prometheus' text format 0.0.4. */
export interface Metrics {
  count(route: string, method: string, status: number, seconds: number): void;
  set(name: 'leader' | 'open_rollouts', value: number): void;
  text(): string;
}

export function createMetrics(): Metrics {
  const requests = new Map<string, { count: number; seconds: number }>();
  const gauges = new Map<string, number>([
    ['leader', 0],
    ['open_rollouts', 0],
  ]);
  return {
    count(route, method, status, seconds) {
      const labels = `route=${JSON.stringify(route)},method="${method}",status="${status}"`;
      const so = requests.get(labels) ?? { count: 0, seconds: 0 };
      requests.set(labels, { count: so.count + 1, seconds: so.seconds + seconds });
    },
    set: (name, value) => void gauges.set(name, value),
    text() {
      const lines = ['# TYPE banksman_requests_total counter'];
      for (const [labels, { count }] of requests) lines.push(`banksman_requests_total{${labels}} ${count}`);
      lines.push('# TYPE banksman_request_seconds_total counter');
      for (const [labels, { seconds }] of requests)
        lines.push(`banksman_request_seconds_total{${labels}} ${seconds.toFixed(6)}`);
      for (const [name, value] of gauges) lines.push(`# TYPE banksman_${name} gauge`, `banksman_${name} ${value}`);
      lines.push(
        '# TYPE process_resident_memory_bytes gauge',
        `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
      );
      return `${lines.join('\n')}\n`;
    },
  };
}
