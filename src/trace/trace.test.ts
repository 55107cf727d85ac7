import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type OtlpReceiver, startOtlpReceiver } from '../../test/support/otlp.ts';
import { Fault } from '../fault/index.ts';
import {
  formatTraceparent,
  inSpan,
  isTracing,
  parseTraceparent,
  sentSpans,
  startTracing,
  traceparent,
  within,
} from './index.ts';
import { readTraceSettings } from './settings.ts';
import { startSpan } from './span.ts';

const given = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('a traceparent', () => {
  it('is read as W3C Trace Context says, and written again', () => {
    const place = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true };
    expect(parseTraceparent(given)).toEqual(place);
    expect(formatTraceparent(place)).toBe(given);
    expect(parseTraceparent(given.replace(/01$/, '00'))).toMatchObject({ sampled: false });
    // A later version may say more.
    expect(parseTraceparent(`${given.replace(/^00/, '01')}-more`)).toMatchObject(place);
  });

  it.each([
    undefined,
    7,
    '',
    'x',
    `${given}-more`,
    given.replace(/^00/, 'ff'),
    given.toUpperCase(),
    given.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
    given.replace('b7ad6b7169203331', '0'.repeat(16)),
    `${given.replace(/^00/, '01')}-${'x'.repeat(10_000)}`,
  ])('that is none is no error: %s', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });
});

describe('settings', () => {
  it.each<[NodeJS.ProcessEnv, boolean]>([
    [{}, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }, true],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector/v1/traces' }, true],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, true],
    [{ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }, false],
    [{ OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }, false],
  ])('%j', (environment, on) => {
    expect(readTraceSettings(environment)).toMatchObject({ on, warnings: [] });
  });

  it.each<[NodeJS.ProcessEnv, RegExp]>([
    [{ OTEL_TRACES_EXPORTER: 'jaeger' }, /jaeger/],
    [{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /grpc/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, /URL/],
  ])('that can not be kept are told, and stop nothing: %j', (environment, told) => {
    const { on, warnings } = readTraceSettings(environment);
    expect(on).toBe(false);
    expect(warnings).toEqual([expect.stringMatching(told)]);
  });

  it('know the samplers of the standard', () => {
    const read = (OTEL_TRACES_SAMPLER: string, OTEL_TRACES_SAMPLER_ARG?: string) =>
      readTraceSettings({ OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG });
    expect(read('parentbased_traceidratio', '0.25').sampler).toEqual({ ratio: 0.25, parentBased: true });
    expect(read('always_off').sampler).toEqual({ ratio: 0, parentBased: false });
    expect(read('traceidratio', '2')).toMatchObject({ sampler: { ratio: 1 }, warnings: [expect.any(String)] });
    expect(readTraceSettings({ OTEL_BSP_SCHEDULE_DELAY: '100' }).batches).toEqual({ scheduledDelayMillis: 100 });
  });
});

it('hands on what came in where it is off, and nothing of its own', async () => {
  expect(isTracing()).toBe(false);
  expect(await inSpan('work', {}, async () => traceparent())).toBeUndefined();
  const place = parseTraceparent(given);
  expect(await within(place, () => inSpan('work', {}, async () => traceparent()))).toBe(given);
  expect(await inSpan('work', { parent: place }, async () => traceparent())).toBe(given);
  expect(startSpan('work')).toBeUndefined();
});

describe('where a receiver is named', () => {
  let receiver: OtlpReceiver;
  beforeEach(async () => {
    receiver = await startOtlpReceiver();
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', receiver.url);
    vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20');
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    receiver.stop();
  });
  const start = () => startTracing({ service: 'banksman', version: '1' });

  it('spans reach it, each below its own, with what went wrong', async () => {
    const tracing = await start();
    const inner = inSpan('outer', { kind: 'server', parent: parseTraceparent(given), attributes: { a: 1 } }, () =>
      inSpan('inner', { kind: 'client' }, async (span) => {
        span?.set({ b: 'x', c: undefined });
        throw new Fault('build/failed', 'it is broken');
      }),
    );
    await expect(inner).rejects.toThrow('it is broken');
    await expect(inSpan('other', {}, () => Promise.reject(new TypeError('of the inside')))).rejects.toThrow();
    startSpan('late', { id: '1234567890abcdef', start: 1_000 })?.end(3_000);
    await tracing.stop(10_000);
    const named = (name: string) => receiver.spans.find((span) => span.name === name);
    const { traceId, spanId } = parseTraceparent(given)!;
    expect(named('outer')).toMatchObject({ traceId, parentId: spanId, kind: 2, attributes: { a: '1' } });
    expect(named('outer')?.resource).toMatchObject({ 'service.name': 'banksman', 'service.version': '1' });
    expect(named('inner')).toMatchObject({ traceId, parentId: named('outer')?.spanId, kind: 3, error: 'it is broken' });
    expect(named('inner')?.attributes).toEqual({ b: 'x', 'error.type': 'build/failed' });
    expect(named('other')).toMatchObject({ parentId: '', error: 'TypeError' });
    expect(named('late')).toMatchObject({ spanId: '1234567890abcdef', start: 1_000, end: 3_000 });
    expect(isTracing()).toBe(false);
  });

  it('what its caller does not record is not recorded', async () => {
    const tracing = await start();
    const parent = parseTraceparent(given.replace(/01$/, '00'));
    const inside = await inSpan('quiet', { parent }, async () => traceparent());
    expect(inside).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
    await tracing.stop(10_000);
    expect(receiver.spans).toEqual([]);
  });

  it('that hangs or is away, work does not notice, and the end does not wait', async () => {
    receiver.behave(() => {});
    const tracing = await start();
    for (let index = 0; index < 5_000; index++) expect(await inSpan('work', {}, async () => index)).toBe(index);
    await vi.waitFor(() => expect(receiver.requests).toBeGreaterThan(0), { timeout: 20_000, interval: 10 });
    receiver.stop();
    expect(await inSpan('work', {}, async () => 'done')).toBe('done');
    await tracing.stop(10);
    // The process's own exporter is done with; nothing has thrown into it.
    expect(isTracing()).toBe(false);
  });

  it('what it refuses is counted', async () => {
    const { sent, lost } = { ...sentSpans() };
    receiver.behave((response) => void response.writeHead(400).end());
    const tracing = await start();
    await inSpan('work', {}, async () => {});
    await tracing.stop(10_000);
    expect(sentSpans()).toEqual({ sent, lost: lost + 1 });
  });
});
