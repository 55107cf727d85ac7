import { type MetricForm, metricForms } from './table.ts';

/** All metrics as a table of docs/operating.md. */
export function metricsTable(): string {
  const rows = (Object.entries(metricForms) as [string, MetricForm][]).map(
    ([name, { type, labels, help }]) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  );
  return ['| metric | type | labels | what |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
