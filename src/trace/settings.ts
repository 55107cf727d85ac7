/** What the standard variables say (OpenTelemetry, "Environment Variable Specification"), as far as it is for traces. */
export interface TraceSettings {
  /** Whether spans are sent at all. */
  readonly on: boolean;
  /** `always_on`, `parentbased_traceidratio`, ...; the standard's default is that all are recorded whose parent is. */
  readonly sampler: { readonly ratio: number; readonly parentBased: boolean };
  /** OTEL_BSP_*: how spans are gathered before they are sent. */
  readonly batches: {
    readonly scheduledDelayMillis?: number;
    readonly maxQueueSize?: number;
    readonly maxExportBatchSize?: number;
    readonly exportTimeoutMillis?: number;
  };
  /** One line for each variable that asks for what is not done here. */
  readonly warnings: readonly string[];
}

const samplers = new Map<string, { readonly ratio: number | 'argument'; readonly parentBased: boolean }>([
  ['always_on', { ratio: 1, parentBased: false }],
  ['always_off', { ratio: 0, parentBased: false }],
  ['traceidratio', { ratio: 'argument', parentBased: false }],
  ['parentbased_always_on', { ratio: 1, parentBased: true }],
  ['parentbased_always_off', { ratio: 0, parentBased: true }],
  ['parentbased_traceidratio', { ratio: 'argument', parentBased: true }],
]);

const usualSampler = { ratio: 1, parentBased: true } as const;

/**
 * Traces are off unless a receiver is named (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) or the exporter is asked for
 * (OTEL_TRACES_EXPORTER=otlp, which sends to http://localhost:4318). What is wrong in a variable never stops the program: the standard has it so.
 */
export function readTraceSettings(environment: NodeJS.ProcessEnv): TraceSettings {
  const read = (name: string) => environment[name]?.trim() || undefined;
  const warnings: string[] = [];
  const endpoint = read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? read('OTEL_EXPORTER_OTLP_ENDPOINT');
  const exporter = read('OTEL_TRACES_EXPORTER')?.toLowerCase();
  const protocol = read('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? read('OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/protobuf';
  const disabled = read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true';
  let on = !disabled && (exporter === 'otlp' || (exporter === undefined && endpoint !== undefined));
  if (exporter !== undefined && !['otlp', 'none'].includes(exporter)) {
    warnings.push(`OTEL_TRACES_EXPORTER is ${exporter}, and otlp or none are known: no traces are sent`);
  }
  if (on && protocol !== 'http/protobuf') {
    warnings.push(`the OTLP protocol is set to ${protocol}, and http/protobuf is spoken: no traces are sent`);
    on = false;
  }
  if (on && endpoint !== undefined && !(URL.canParse(endpoint) && /^https?:$/.test(new URL(endpoint).protocol))) {
    warnings.push('the OTLP endpoint is no http or https URL: no traces are sent');
    on = false;
  }
  const number = (name: string) => {
    const text = read(name);
    if (text === undefined) return undefined;
    if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
    warnings.push(`${name} is ${text}, and no number above 0: its default holds`);
    return undefined;
  };
  const given = {
    scheduledDelayMillis: number('OTEL_BSP_SCHEDULE_DELAY'),
    maxQueueSize: number('OTEL_BSP_MAX_QUEUE_SIZE'),
    maxExportBatchSize: number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE'),
    exportTimeoutMillis: number('OTEL_BSP_EXPORT_TIMEOUT'),
  };
  const batches = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return {
    on,
    batches,
    sampler: samplerOf(read('OTEL_TRACES_SAMPLER'), read('OTEL_TRACES_SAMPLER_ARG'), warnings),
    warnings,
  };
}

function samplerOf(name: string | undefined, argument: string | undefined, warnings: string[]) {
  if (name === undefined) return usualSampler;
  const known = samplers.get(name.toLowerCase());
  if (known === undefined) {
    warnings.push(`OTEL_TRACES_SAMPLER is ${name}, which is not known: everything is recorded`);
    return usualSampler;
  }
  if (known.ratio !== 'argument') return { ...known, ratio: known.ratio };
  const ratio = argument === undefined ? 1 : Number(argument);
  if (ratio >= 0 && ratio <= 1) return { ...known, ratio };
  warnings.push(`OTEL_TRACES_SAMPLER_ARG is ${argument}, and not from 0 to 1: everything is recorded`);
  return { ...known, ratio: 1 };
}
