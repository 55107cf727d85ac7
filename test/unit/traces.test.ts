import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Environment, Label } from '../../src/graph/index.ts';
import { type Cluster, connect } from '../../src/kube/index.ts';
import { startReceiver } from '../../src/server/testing/receiver.ts';
import { type ApiServer, findEngine, startApiServer } from '../support/api-server.ts';
import { type RunningDatabase, testDatabases } from '../support/databases.ts';
import { playKubelet } from '../support/kubelet.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp.ts';
import { configMap, deployment } from '../support/rollouts.ts';
import { type ServerProcess, startServerProcess } from '../support/start-server-process.ts';

const program = fileURLToPath(new URL('../../bin/banksman', import.meta.url));
const engine = findEngine();
const postgres = testDatabases.find(({ engine: name }) => name === 'postgresql');
const service = '//bank/ledger:ledger' as Label;
const place = { file: 'banksman.yaml' };
const environments = ['dev', 'other'].map(
  (name): Environment => ({
    name,
    cluster: 'test',
    namespace: name,
    registry: 'registry.local',
    parameters: {},
    place,
  }),
);
const soon = { timeout: 60_000, interval: 50 };

describe.skipIf(engine === undefined)('traces (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let running: RunningDatabase;
  let folder: string;
  let receiver: OtlpReceiver;
  let server: ServerProcess;

  const variables = () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '100' });
  const start = () =>
    startServerProcess({
      databaseUrl: running.url as string,
      kubeconfig: api.kubeconfig,
      releases: folder,
      environments,
      leaseTime: 1_500,
      variables: variables(),
    });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'banksman-releases-'));
    [api, running, receiver] = await Promise.all([
      startApiServer(engine as string),
      postgres!.start(),
      startOtlpReceiver(),
    ]);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    server = await start();
  }, 180_000);
  afterAll(async () => {
    await server?.kill();
    receiver?.stop();
    cluster?.close();
    await Promise.all([running?.stop(), api?.stop(), rm(folder, { recursive: true, force: true })]);
  }, 60_000);

  const banksman = (...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      const env = {
        ...process.env,
        ...variables(),
        BANKSMAN_SERVER: server.url,
        BANKSMAN_TOKEN: server.token,
        TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      };
      execFile(program, args, { cwd: '/', env }, (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(stderr)),
      );
    });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const ours = () => receiver.spans.filter((span) => span.traceId === traceId);
  const named = (name: string) => ours().filter((span) => span.name === name);
  const below = (span: ReceivedSpan | undefined) => ours().filter(({ parentId }) => parentId === span?.spanId);

  it('hold a rollout together, from the command line to the webhook, over a kill of the server', async () => {
    const hook = await startReceiver();
    expect(await server.call('POST', '/v1/webhooks', { url: hook.url })).toMatchObject({ status: 201 });
    const release = await server.release(service, deployment('ledger', 'ready/ledger:1', configMap('rates')));
    await banksman('promote', service, '--env', 'dev', '--release', release);
    const { rollouts } = await server.placement(service, 'dev');
    const { id } = rollouts[0]!;
    // Nobody plays the kubelet yet: its pod does not come up.
    await server.until(service, 'dev', id, 'progressing');
    await vi.waitFor(() => expect(named('rollout applying')).toHaveLength(1), soon);
    await server.kill();
    server = await start();
    const kubelet = playKubelet(cluster, 'dev');
    const { steps } = await server.until(service, 'dev', id, 'healthy', 'failed');
    kubelet.stop();
    await vi.waitFor(() => expect(named('rollout')).toHaveLength(1), soon);

    const [command] = named('banksman promote');
    expect(command).toMatchObject({ parentId: 'b7ad6b7169203331', resource: { 'service.name': 'banksman' } });
    const call = below(command).find(({ name }) => name.startsWith('POST '));
    expect(call).toMatchObject({
      kind: 2,
      name: 'POST /v1/environments/:environment/services/:service/promotions',
      attributes: { 'http.response.status_code': '202' },
      resource: { 'service.name': 'banksman-server' },
    });
    const asked = below(call).find(({ name }) => name === 'rollout asked for');
    expect(asked?.attributes).toMatchObject({ 'banksman.service': service, 'banksman.rollout': id });
    expect(below(asked).map(({ name }) => name)).toContain('database transaction');

    // The rollout, and its steps with the times of the record, whichever server they were begun on.
    const [whole] = named('rollout');
    expect(whole).toMatchObject({ parentId: asked?.spanId, attributes: { 'banksman.state': 'healthy' } });
    const inside = below(whole).toSorted((a, b) => a.start - b.start);
    expect(inside.map(({ name }) => name)).toEqual(['rollout planned', 'rollout applying', 'rollout progressing']);
    expect(inside.map(({ start, end }) => [start, end])).toEqual(
      inside.map((_, index) => [Date.parse(steps[index]!.at), Date.parse(steps[index + 1]!.at)]),
    );
    // What was done in a step is below it; also what the killed server did in one that it did not end.
    const [, applying, progressing] = inside;
    const requests = below(applying).filter(({ name }) => name === 'kubernetes PATCH');
    expect(requests.map(({ attributes }) => attributes['url.path'])).toContain(
      '/apis/apps/v1/namespaces/dev/deployments/ledger',
    );
    expect(below(applying).map(({ name }) => name)).toContain('database transaction');
    const serverOf = (span: ReceivedSpan | undefined) => span?.resource['service.instance.id'];
    expect(serverOf(applying)).not.toBe(serverOf(progressing));
    expect(serverOf(progressing)).toBe(serverOf(whole));

    // Whoever is told gets the trace too. The killed server may not have sent all of its own spans any more.
    const deliveryOf = (type: string) =>
      named('webhook delivery').find(({ attributes }) => attributes['messaging.message.type'] === type);
    await vi.waitFor(() => expect(deliveryOf('rollout.healthy')).toBeDefined(), soon);
    const told = hook.received.filter(({ body }) => body.includes('"rollout.'));
    expect(told.length).toBeGreaterThanOrEqual(4);
    for (const { headers } of told) {
      expect(headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    }
    const last = told
      .filter(({ body }) => body.includes('"rollout.healthy"'))
      .map(({ headers }) => headers.traceparent);
    expect(last).toContain(`00-${traceId}-${deliveryOf('rollout.healthy')?.spanId}-01`);
    // What nobody asked for is below nothing of this.
    expect(ours().filter(({ name }) => name === 'kubernetes stream GET')).toEqual([]);
  }, 240_000);

  it('do no harm where their receiver hangs', async () => {
    receiver.behave(() => {});
    const kubelet = playKubelet(cluster, 'other');
    const release = await server.release(service, deployment('ledger', 'ready/ledger:2'));
    await banksman('promote', service, '--env', 'other', '--release', release);
    const { rollouts } = await server.placement(service, 'other');
    expect(await server.until(service, 'other', rollouts[0]!.id, 'healthy', 'failed')).toMatchObject({
      state: 'healthy',
    });
    kubelet.stop();
    expect(receiver.requests).toBeGreaterThan(0);
  }, 240_000);
});
