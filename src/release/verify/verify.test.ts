import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ApiServer, findEngine, startApiServer } from '../../../test/support/api-server.ts';
import { playKubelet } from '../../../test/support/kubelet.ts';
import { serveLogs } from '../../../test/support/kubelet-logs.ts';
import type { Label } from '../../graph/index.ts';
import { applyObject, type Cluster, connect, type KubeObject, listObjects, ObjectFault } from '../../kube/index.ts';
import { checkManifests } from '../../manifest/index.ts';
import { openSession, type Session } from '../cluster/session.ts';
import { splitVerification, tryVerification, type VerifyRequest, verifyRelease } from './index.ts';

const engine = findEngine();
const service = '//bank/ledger:ledger' as Label;

const job = (image: string, more = '', mark = '"true"') => `apiVersion: batch/v1
kind: Job
metadata:
  name: smoke
  annotations:
    banksman.local/verify: ${mark}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      nodeName: node-1
      containers:
        - name: main
          image: ${image}
${more}`;

function documentsOf(source: string) {
  return checkManifests([{ path: 'bank/ledger/smoke.yaml', source }], { package: 'bank/ledger', containers: [] })
    .documents;
}

describe('what is marked', () => {
  it('is told from what serves', () => {
    const config = '---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n---\n';
    const { served, verification } = splitVerification(documentsOf(`${config}${job('done/x:1')}`));
    expect(served.map(({ object }) => object.metadata.name)).toEqual(['a']);
    expect(verification.map(({ object }) => object.metadata.name)).toEqual(['smoke']);
  });

  it.each([
    [job('done/x:1', '', '"yes"'), /is "yes", not "true"/, 6],
    [job('done/x:1').replace('kind: Job', 'kind: CronJob'), /CronJob\/smoke can't verify/, 6],
  ])('is refused where it can not verify, at its line', (source, message, line) => {
    const split = () => splitVerification(documentsOf(source));
    expect(split).toThrow(message);
    expect(split).toThrow(
      expect.objectContaining({ code: 'release/bad-verification', place: expect.objectContaining({ line }) }),
    );
  });
});

describe.skipIf(engine === undefined)('verification on a real API server (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let session: Session;
  let kubelet: { stop(): void } | undefined;
  let logs: { stop(): Promise<void> };
  let namespace: string;
  let count = 0;

  beforeAll(async () => {
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    const twenty = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`);
    logs = await serveLogs(cluster, 'node-1', () => [...twenty, 'the balance is off by 1'].join('\n'));
  }, 90_000);

  afterAll(async () => {
    cluster?.close();
    await logs?.stop();
    await api?.stop();
  });

  beforeEach(async () => {
    namespace = `verify-${++count}`;
    await applyObject(cluster, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, { namespace });
    const place = { file: 'banksman.yaml' };
    const environment = { name: 'dev', cluster: 'local', namespace, registry: 'registry.local', parameters: {}, place };
    session = await openSession({ kubeconfigPath: api.kubeconfig }, environment);
    return () => {
      kubelet?.stop();
      kubelet = undefined;
      session.close();
    };
  });

  const play = () => {
    kubelet = playKubelet(cluster, namespace);
  };
  const jobs = async () =>
    (await listObjects(cluster, { apiVersion: 'batch/v1', kind: 'Job' }, { namespace })).items.filter(
      ({ metadata }) => metadata.deletionTimestamp === undefined,
    );
  /** The one job that is there, once it is. */
  const onlyJob = () =>
    vi.waitFor(
      async () => {
        const found = await jobs();
        expect(found).toHaveLength(1);
        return found[0] as KubeObject;
      },
      { timeout: 30_000 },
    );
  const request = (source: string, more: Partial<VerifyRequest> = {}): VerifyRequest => ({
    session,
    run: { service, rollout: 'a' },
    documents: documentsOf(source),
    deadline: Date.now() + 60_000,
    ...more,
  });

  it('runs its jobs, as its own, and cleans up', async () => {
    const verified = verifyRelease(request(job('done/x:1')));
    const made = await onlyJob();
    expect(made.metadata.name).toMatch(/^smoke-[0-9a-f]{12}$/);
    expect(made.metadata.labels).not.toHaveProperty('applyset.kubernetes.io/part-of');
    const { activeDeadlineSeconds, ttlSecondsAfterFinished } = (made.spec ?? {}) as Record<string, number>;
    expect(activeDeadlineSeconds).toBeLessThanOrEqual(60);
    expect(ttlSecondsAfterFinished).toBe(3600);
    play();
    expect(await verified).toEqual({ result: 'verified' });
    expect(await jobs()).toEqual([]);
  });

  it('tells the last lines of the log of a job that fails, and cleans up', async () => {
    play();
    const verified = await verifyRelease(request(job('fails/x:1')));
    expect(verified).toMatchObject({
      result: 'failed',
      fault: {
        code: 'release/verification-failed',
        message: expect.stringMatching(/^verification job smoke-\w+ failed/),
      },
    });
    const notes = verified.result === 'failed' ? verified.fault.notes.join('\n') : '';
    expect(notes).toContain('container main ended with exit code 3');
    expect(notes).toContain('the balance is off by 1');
    expect(await jobs()).toEqual([]);
  });

  it('goes on with the job that it finds when it is begun again', async () => {
    const stop = new AbortController();
    const first = verifyRelease(request(job('done/x:1'), { signal: stop.signal }));
    const made = await onlyJob();
    stop.abort(new Error('killed'));
    await expect(first).rejects.toThrow('killed');
    const second = verifyRelease(request(job('done/x:1')));
    expect((await jobs()).map(({ metadata }) => metadata.uid)).toEqual([made.metadata.uid]);
    play();
    expect(await second).toEqual({ result: 'verified' });
  });

  it('is not kept from a new release by the job of another, whose fields can not be changed', async () => {
    const stop = new AbortController();
    const first = verifyRelease(request(job('done/x:1'), { signal: stop.signal }));
    await vi.waitFor(async () => expect(await jobs()).toHaveLength(1), { timeout: 30_000 });
    stop.abort(new Error('killed'));
    await expect(first).rejects.toThrow('killed');
    play();
    const changed = job('done/x:2', '          command: [smoke]\n');
    expect(await verifyRelease(request(changed, { run: { service, rollout: 'b' } }))).toEqual({ result: 'verified' });
    expect(await jobs()).toEqual([]);
  });

  it('ends at its deadline', async () => {
    const late = await verifyRelease(request(job('done/x:1'), { deadline: Date.now() + 500 }));
    expect(late).toMatchObject({ result: 'failed', fault: { code: 'release/verification-failed' } });
    expect(await jobs()).toEqual([]);
  });

  it('does not wait for an image that does not exist', async () => {
    play();
    const verified = await verifyRelease(request(job('missing/x:1')));
    expect(verified).toMatchObject({
      result: 'failed',
      fault: { message: expect.stringMatching(/image missing\/x:1 .* does not exist in its registry/) },
    });
  });

  it('fails where somebody deletes its job', async () => {
    const verified = verifyRelease(request(job('done/x:1')));
    const made = await onlyJob();
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs/${made.metadata.name}`;
    await cluster.request({ method: 'DELETE', path, query: { propagationPolicy: 'Background' } });
    expect(await verified).toMatchObject({ fault: { message: expect.stringMatching(/was deleted before it ended/) } });
  });

  it('runs those that are named, and says which there are', async () => {
    const only = verifyRelease(request(job('done/x:1'), { only: ['smok'] }));
    await expect(only).rejects.toMatchObject({ code: 'release/bad-verification', next: 'choose one of: smoke' });
  });

  it('knows a bad job before anything is made', async () => {
    const bad = job('done/x:1').replace('restartPolicy: Never', 'restartPolicy: Always');
    const tried = tryVerification(request(bad));
    await expect(tried).rejects.toBeInstanceOf(ObjectFault);
    await expect(tried).rejects.toMatchObject({ message: expect.stringMatching(/^Job\/smoke: .*restartPolicy/) });
    await tryVerification(request(job('done/x:1')));
    expect(await jobs()).toEqual([]);
  });
});
