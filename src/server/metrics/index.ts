export { collectDatabase, collectProcess, countPassage } from './collect.ts';
export { createMetrics, type Metrics } from './registry.ts';
export { type MetricForm, type MetricName, metricForms } from './table.ts';
