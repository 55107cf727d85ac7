import { describe, expect, it } from 'vitest';
import { diagnose, healthOf, type KubeObject, type Pod, podState, podsOf } from './index.ts';

const now = Date.parse('2026-01-01T00:01:00Z');

function pod(status: object, more: object = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'ledger-1', uid: 'p1', creationTimestamp: '2026-01-01T00:00:00Z', ...more },
    spec: { containers: [{ name: 'app', image: 'registry.local/bank/ledger:1' }] },
    status,
  } as Pod;
}
const event = (reason: string, message: string, uid = 'p1'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: 'e', creationTimestamp: '2026-01-01T00:00:50Z' },
  involvedObject: { uid },
  reason,
  message,
});
const container = (more: object) => ({ name: 'app', image: 'x', ready: false, restartCount: 0, ...more });
const of = (pods: Pod[], events: KubeObject[] = [], owners: KubeObject[] = []) =>
  diagnose({ pods, events, owners, now });

describe('diagnose', () => {
  it('says nothing of pods that are well or only starting', () => {
    expect(of([pod({ phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] })])).toBeUndefined();
    const starting = { state: { waiting: { reason: 'ContainerCreating' } } };
    expect(of([pod({ phase: 'Pending', containerStatuses: [container(starting)] })])).toBeUndefined();
  });

  it("gives the registry's answer for an image that is missing, also while the kubelet waits", () => {
    const waiting = { reason: 'ImagePullBackOff', message: 'Back-off pulling image "x"' };
    const found = of(
      [pod({ containerStatuses: [container({ state: { waiting } })] })],
      [event('Failed', 'Failed to pull image "x": x: not found'), event('Failed', 'Error: ErrImagePull')],
    );
    expect(found).toMatchObject({ cause: 'image-missing', certain: true });
    expect(found?.message).toContain('registry.local/bank/ledger:1');
    expect(found?.notes).toEqual(['Failed to pull image "x": x: not found']);
  });

  it('waits where a registry may come back', () => {
    const waiting = { reason: 'ErrImagePull', message: 'dial tcp: connection refused' };
    const found = of([pod({ containerStatuses: [container({ state: { waiting } })] })]);
    expect(found).toMatchObject({ cause: 'image-unpullable', certain: false });
  });

  it.each([
    [{ exitCode: 1, reason: 'Error' }, 3, /ends with exit code 1, 4 times/, 'crash', true],
    [{ exitCode: 1, reason: 'Error' }, 1, /ends with exit code 1, 2 times/, 'crash', false],
    [{ exitCode: 139, reason: 'Error' }, 3, /signal 11/, 'crash', true],
    [{ exitCode: 137, reason: 'OOMKilled' }, 3, /more memory than its limit/, 'out-of-memory', true],
    [{ exitCode: 128, reason: 'StartError', message: 'exec: "/nope"' }, 1, /can't be started/, 'crash', true],
  ])('tells a crash by how it ended: %o', (terminated, restartCount, message, cause, certain) => {
    const state = { waiting: { reason: 'CrashLoopBackOff' } };
    const found = of([pod({ containerStatuses: [container({ restartCount, state, lastState: { terminated } })] })]);
    expect(found).toMatchObject({ cause, certain });
    expect(found?.message).toMatch(message);
  });

  it('does not take an init container that has done its work for a crash', () => {
    const done = pod({ initContainerStatuses: [container({ name: 'init', state: { terminated: { exitCode: 0 } } })] });
    const spec = { ...done.spec, initContainers: [{ name: 'init' }] };
    expect(of([{ ...done, spec } as Pod])).toBeUndefined();
  });

  it('gives the answer of a probe that fails', () => {
    const running = pod({ phase: 'Running', containerStatuses: [container({ state: { running: {} } })] });
    const found = of([running], [event('Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 503')]);
    expect(found?.message).toBe('the readiness probe of pod ledger-1 fails: HTTP probe failed with statuscode: 503');
    expect(found?.certain).toBe(false);
    expect(of([running], [event('Unhealthy', 'Readiness probe failed: x', 'another pod')])).toMatchObject({
      cause: 'not-ready',
    });
  });

  it('blames the liveness probe and not the program for a restart by the kubelet', () => {
    const state = { waiting: { reason: 'CrashLoopBackOff' } };
    const lastState = { terminated: { exitCode: 143, reason: 'Error' } };
    const found = of(
      [pod({ containerStatuses: [container({ restartCount: 3, state, lastState })] })],
      [
        event('Killing', 'Container app failed liveness probe, will be restarted'),
        event('Unhealthy', 'Liveness probe failed: dial tcp: connection refused'),
      ],
    );
    expect(found).toMatchObject({ cause: 'probe-failing', certain: true });
    expect(found?.notes).toEqual(['Liveness probe failed: dial tcp: connection refused']);
  });

  it('names what is lacking where no node has room', () => {
    const message =
      '0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient memory, 1 node(s) had untolerated taint.';
    const found = of([pod({ conditions: [{ type: 'PodScheduled', status: 'False', message }] })]);
    expect(found).toMatchObject({ cause: 'unschedulable', notes: [message], certain: false });
    expect(found?.message).toContain('enough cpu and memory');
  });

  it('waits a while for a secret that another service may bring', () => {
    const waiting = { reason: 'CreateContainerConfigError', message: 'secret "passwords" not found' };
    const late = pod({ containerStatuses: [container({ state: { waiting } })] });
    const fresh = pod(
      { containerStatuses: [container({ state: { waiting } })] },
      { creationTimestamp: '2026-01-01T00:00:55Z' },
    );
    expect(of([late])).toMatchObject({ cause: 'bad-configuration', certain: true });
    expect(of([fresh])).toMatchObject({ cause: 'bad-configuration', certain: false });
    expect(of([late])?.message).toContain('secret passwords, which does not exist');
  });

  it.each([
    ['pods "x" is forbidden: exceeded quota: small, requested: pods=1', 'quota'],
    ['pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged', 'denied'],
  ])('tells why no pod is made: %s', (message, cause) => {
    const replicaSet = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: { name: 'ledger-1' },
      status: { conditions: [{ type: 'ReplicaFailure', status: 'True', message }] },
    };
    expect(of([], [], [replicaSet])).toMatchObject({ cause, certain: true, notes: [message] });
  });

  it('puts what is certain before what may pass', () => {
    const waiting = pod({ phase: 'Running', containerStatuses: [container({ state: { running: {} } })] });
    const missing = pod({ containerStatuses: [container({ state: { waiting: { reason: 'InvalidImageName' } } })] });
    expect(of([waiting, missing])).toMatchObject({ cause: 'image-unpullable' });
  });

  it('leaves out pods on their way out', () => {
    const waiting = { state: { waiting: { reason: 'InvalidImageName' } } };
    expect(of([pod({ containerStatuses: [container(waiting)] }, { deletionTimestamp: 'now' })])).toBeUndefined();
  });
});

describe('healthOf', () => {
  const object = (kind: string, spec: object, status: object, generation = 2): KubeObject => ({
    apiVersion: 'x/v1',
    kind,
    metadata: { name: 'x', generation },
    spec,
    status,
  });
  const rolled = { observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 };

  it.each([
    ['Deployment', { replicas: 2 }, rolled, 'current'],
    ['Deployment', { replicas: 2 }, { ...rolled, observedGeneration: 1 }, 'progressing'],
    ['Deployment', { replicas: 2 }, {}, 'progressing'],
    ['Deployment', { replicas: 2 }, { ...rolled, updatedReplicas: 1 }, 'progressing'],
    ['Deployment', { replicas: 2 }, { ...rolled, replicas: 3 }, 'progressing'],
    ['Deployment', { replicas: 2 }, { ...rolled, availableReplicas: 1 }, 'progressing'],
    ['Deployment', { replicas: 0 }, { observedGeneration: 2 }, 'current'],
    [
      'Deployment',
      {},
      { ...rolled, conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] },
      'failed',
    ],
    [
      'StatefulSet',
      {},
      {
        observedGeneration: 2,
        replicas: 1,
        readyReplicas: 1,
        updatedReplicas: 1,
        currentRevision: 'a',
        updateRevision: 'a',
      },
      'current',
    ],
    [
      'StatefulSet',
      {},
      {
        observedGeneration: 2,
        replicas: 1,
        readyReplicas: 1,
        updatedReplicas: 0,
        currentRevision: 'a',
        updateRevision: 'b',
      },
      'progressing',
    ],
    [
      'StatefulSet',
      { replicas: 2, updateStrategy: { rollingUpdate: { partition: 1 } } },
      {
        observedGeneration: 2,
        replicas: 2,
        readyReplicas: 2,
        updatedReplicas: 1,
        currentRevision: 'a',
        updateRevision: 'b',
      },
      'current',
    ],
    [
      'DaemonSet',
      {},
      { observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1 },
      'progressing',
    ],
    ['Job', {}, { conditions: [{ type: 'Complete', status: 'True' }] }, 'current'],
    ['Job', {}, { active: 1 }, 'progressing'],
    ['Job', {}, { conditions: [{ type: 'Failed', status: 'True' }] }, 'failed'],
    ['Service', { type: 'LoadBalancer' }, { loadBalancer: {} }, 'progressing'],
    ['Service', { type: 'LoadBalancer' }, { loadBalancer: { ingress: [{ ip: '127.0.0.1' }] } }, 'current'],
    ['Certificate', {}, { conditions: [{ type: 'Ready', status: 'False' }] }, 'progressing'],
    ['Certificate', {}, { conditions: [{ type: 'Stalled', status: 'True' }] }, 'failed'],
    ['ConfigMap', {}, {}, 'current'],
  ])('of %s %o %o is %s', (kind, spec, status, state) => {
    expect(healthOf(object(kind, spec, status)).state).toBe(state);
  });
});

describe('pods', () => {
  it('belong to the newest ReplicaSet or to those before, by owner', () => {
    const owner = (uid: string) => [{ kind: 'x', name: 'x', uid, controller: true }];
    const replicaSet = (uid: string, revision: string): KubeObject => ({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: uid,
        uid,
        ownerReferences: owner('d'),
        annotations: { 'deployment.kubernetes.io/revision': revision },
      },
    });
    const sets = [replicaSet('r9', '9'), replicaSet('r10', '10')];
    const pods = [
      pod({}, { uid: 'a', ownerReferences: owner('r9') }),
      pod({}, { uid: 'b', ownerReferences: owner('r10') }),
      pod({}, { uid: 'c' }),
    ];
    const objects = (kind: string) => (kind === 'Pod' ? pods : kind === 'ReplicaSet' ? sets : []);
    const deployment = (observedGeneration: number): KubeObject => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd', uid: 'd', generation: 2 },
      status: { observedGeneration },
    });
    const uids = (list: readonly KubeObject[]) => list.map(({ metadata }) => metadata.uid);
    const seen = podsOf(deployment(2), objects);
    expect([uids(seen.current), uids(seen.old)]).toEqual([['b'], ['a']]);
    const unseen = podsOf(deployment(1), objects);
    expect([uids(unseen.current), uids(unseen.old)]).toEqual([[], ['b', 'a']]);
  });

  it('are told in the words of kubectl', () => {
    expect(podState(pod({ phase: 'Running' }))).toBe('Running');
    expect(podState(pod({ phase: 'Running' }, { deletionTimestamp: 'x' }))).toBe('Terminating');
    expect(
      podState(pod({ initContainerStatuses: [container({ state: { waiting: { reason: 'CrashLoopBackOff' } } })] })),
    ).toBe('Init:CrashLoopBackOff');
  });
});
