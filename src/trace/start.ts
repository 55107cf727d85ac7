import { readTraceSettings } from './settings.ts';
import { recordSpansWith } from './span.ts';

export interface Tracing {
  /** One line for each variable that asks for what is not done. */
  readonly warnings: readonly string[];
  /** Sends what is left, and records no more. @returns false where the receiver has not taken it within so many milliseconds: it is still tried */
  stop(patience: number): Promise<boolean>;
}

export interface TracingOptions {
  /** `banksman-server`; OTEL_SERVICE_NAME has the last word. */
  readonly service: string;
  readonly version: string;
}

const spans = { sent: 0, lost: 0 };

function count(number: number, arrived: boolean): void {
  spans[arrived ? 'sent' : 'lost'] += number;
}

/** Spans of this process that reached their receiver, and that did not. */
export function sentSpans(): Readonly<typeof spans> {
  return spans;
}

/** Records and sends spans where the standard variables ask for it; OpenTelemetry's packages are loaded only then. */
export async function startTracing({ service, version }: TracingOptions): Promise<Tracing> {
  const settings = readTraceSettings(process.env);
  if (!settings.on) return { warnings: settings.warnings, stop: async () => true };
  const { openTelemetry } = await import('./opentelemetry.ts');
  const { tracer, stop } = openTelemetry({ service, version, settings, onSent: count });
  recordSpansWith(tracer);
  return {
    warnings: settings.warnings,
    async stop(patience) {
      recordSpansWith(undefined);
      return await stop(patience);
    },
  };
}
