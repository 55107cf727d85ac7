/** What a metric is: the code registers what stands here and nothing else, and docs/operating.md shows this table. */
export interface MetricForm {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

/** Seconds of what people wait for: a rollout, a gate. */
const long = [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 21_600, 86_400];
/** Seconds of what programs wait for. */
const short = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * Everything that /metrics tells. Names, units and suffixes are Prometheus' ("Metric and label naming"). No label is a service, a release,
 * a rollout or a person: there are thousands of them. Labels are environments and gates of banksman.yaml, states, routes and codes, and a
 * metric holds at most `maximumSeries` of them.
 */
export const metricForms = {
  banksman_build_info: { type: 'gauge', labels: ['version'], help: '1, with the version that runs' },
  banksman_leader: { type: 'gauge', labels: [], help: '1 where this server leads, else 0' },
  banksman_leaderships_total: { type: 'counter', labels: [], help: 'Times that this server has begun to lead' },
  banksman_open_rollouts: { type: 'gauge', labels: [], help: 'Rollouts that have not ended, in all environments' },
  banksman_rollouts: {
    type: 'gauge',
    labels: ['environment', 'state'],
    help: 'Rollouts that have not ended, by state; from the database',
  },
  banksman_services: {
    type: 'gauge',
    labels: ['environment', 'state'],
    help: 'Services by the state of the rollout whose objects are there; from the database',
  },
  banksman_rollouts_ended_total: {
    type: 'counter',
    labels: ['environment', 'kind', 'state'],
    help: 'Rollouts that came to an end on this server: healthy, failed, cancelled, superseded, removed',
  },
  banksman_rollout_duration_seconds: {
    type: 'histogram',
    labels: ['environment', 'state'],
    buckets: long,
    help: 'From asked for to the end, by the state it ended in',
  },
  banksman_rollout_step_duration_seconds: {
    type: 'histogram',
    labels: ['environment', 'step'],
    buckets: long,
    help: 'Time in each state that a rollout left on this server',
  },
  banksman_gate_wait_seconds: {
    type: 'histogram',
    labels: ['environment', 'gate'],
    buckets: long,
    help: 'For each gate of a rollout that started: from asked for until the gate was open',
  },
  banksman_gate_waiting_rollouts: {
    type: 'gauge',
    labels: ['environment', 'gate'],
    help: 'Rollouts that wait for a gate which is shut; from the database',
  },
  banksman_oldest_waiting_rollout_seconds: {
    type: 'gauge',
    labels: ['environment'],
    help: 'How long the one that waits longest has been in its state; from the database',
  },
  banksman_rollout_retries_total: {
    type: 'counter',
    labels: ['code'],
    help: 'What went wrong while this server led and is tried again, by code',
  },
  banksman_drifted_objects: {
    type: 'gauge',
    labels: ['environment'],
    help: 'Objects that are not as their release has them; from the database',
  },
  banksman_drift_corrections_total: {
    type: 'counter',
    labels: ['environment'],
    help: 'Objects that this server has put right',
  },
  banksman_watches: { type: 'gauge', labels: [], help: 'Watches of objects that are open' },
  banksman_watch_silence_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Since the last word of the watch that has been silent for longest; an API server says something every minute',
  },
  banksman_kubernetes_request_duration_seconds: {
    type: 'histogram',
    labels: ['method', 'result'],
    buckets: short,
    help: 'Requests to API servers, with their retries; `result` is ok or the code of the error',
  },
  banksman_webhook_queue_messages: {
    type: 'gauge',
    labels: ['state'],
    help: 'Messages that wait to be sent (pending) or were given up (dead); from the database',
  },
  banksman_webhook_lag_seconds: {
    type: 'gauge',
    labels: [],
    help: 'How long the oldest message has been in the queue; from the database',
  },
  banksman_webhook_deliveries_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Attempts to deliver a message: delivered, failed, given-up',
  },
  banksman_http_requests_total: {
    type: 'counter',
    labels: ['route', 'method', 'status'],
    help: 'Answered calls',
  },
  banksman_http_request_duration_seconds: {
    type: 'histogram',
    labels: ['route', 'method'],
    buckets: short,
    help: 'From the request to the end of its answer',
  },
  banksman_event_streams: { type: 'gauge', labels: [], help: 'Streams of events that are open' },
  banksman_database_up: { type: 'gauge', labels: [], help: '1 where the database answered this question, else 0' },
  banksman_database_transaction_duration_seconds: {
    type: 'histogram',
    labels: ['result'],
    buckets: short,
    help: 'Transactions with their repetitions; `result` is ok or the code of the error',
  },
  banksman_database_connections: {
    type: 'gauge',
    labels: ['state'],
    help: 'Connections of the pool: used, idle; one for the embedded database',
  },
  banksman_database_waiting: { type: 'gauge', labels: [], help: 'Who waits for a connection of the pool' },
  banksman_trace_spans_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Spans that reached their receiver (sent) or did not (lost)',
  },
  process_cpu_seconds_total: { type: 'counter', labels: [], help: 'User and system time of the process' },
  process_resident_memory_bytes: { type: 'gauge', labels: [], help: 'Resident memory of the process' },
  process_start_time_seconds: { type: 'gauge', labels: [], help: 'When the process started, since the epoch' },
} as const satisfies Readonly<Record<string, MetricForm>>;

export type MetricName = keyof typeof metricForms;

/** Sets of labels that one metric holds; what comes beyond them is counted together, so that nothing sent to us makes memory grow. */
export const maximumSeries = 2_000;
