export { answerGates, replacementName, requiredGates } from './answer.ts';
export { openEmergencies } from './emergency.ts';
export { moment, told } from './length.ts';
export { metricVerdict } from './metric.ts';
export { isSamePerson } from './person.ts';
export { askPrometheus, type PrometheusQuery } from './prometheus.ts';
export { termsOf } from './terms.ts';
export type * from './types.ts';
