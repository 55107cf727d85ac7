import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import type { KubeObject } from './api.ts';
import { assignPorts, isPortFree, parseAnnotation, readBalanced } from './load-balancer.ts';

const service = (
  name: string,
  ports: object[],
  annotations: Record<string, string> = {},
  spec: object = {},
): KubeObject => ({
  metadata: { name, namespace: 'dev', annotations },
  spec: { type: 'LoadBalancer', clusterIP: '10.96.0.7', ports, ...spec },
});
const balanced = (...services: KubeObject[]) => services.flatMap((one) => readBalanced(one) ?? []);
const allFree = async () => true;
const given = async (...args: Parameters<typeof assignPorts>) =>
  Object.fromEntries(
    (await assignPorts(...args)).map(({ service, port, hostPort }) => [`${service}:${port}`, hostPort]),
  );

test('a Service is reached at its own port, a second one of the same port at the next', async () => {
  const services = balanced(service('a', [{ port: 8080 }]), service('b', [{ port: 8080 }]));
  expect(await given(services, [], allFree)).toEqual({ 'dev/a:8080': 8080, 'dev/b:8080': 8081 });
});

test('whether a port speaks HTTPS is told by its name or its appProtocol', async () => {
  const ports = [
    { name: 'https', port: 1 },
    { name: 'web', port: 2, appProtocol: 'https' },
    { name: 'https', port: 3, appProtocol: 'http' },
    { port: 4 },
  ];
  const assigned = await assignPorts(balanced(service('a', ports)), [], allFree);
  expect(assigned.map(({ https = false }) => https)).toEqual([true, true, false, false]);
});

test('a port that another process holds is passed over', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  try {
    const assigned = await assignPorts(balanced(service('a', [{ port }])), [], isPortFree);
    expect(assigned[0]!.hostPort).toBeGreaterThan(port);
  } finally {
    holder.close();
  }
});

test('what was given before stays, even when a Service before it by name appears', async () => {
  const before = await assignPorts(balanced(service('b', [{ port: 80 }])), [], allFree);
  const services = balanced(service('a', [{ port: 80 }]), service('b', [{ port: 80 }]));
  // Its own portal listens there by now.
  expect(await given(services, before, async (port) => port !== 80)).toEqual({ 'dev/a:80': 81, 'dev/b:80': 80 });
});

test('the annotation asks for a port, by number for the first and by name for others', async () => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'metrics', port: 9090 },
  ];
  expect(await given(balanced(service('a', ports, { 'banksman.local/port': '8080' })), [], allFree)).toEqual({
    'dev/a:80': 8080,
    'dev/a:9090': 9090,
  });
  expect(await given(balanced(service('a', ports, { 'banksman.local/port': 'metrics=1234' })), [], allFree)).toEqual({
    'dev/a:80': 80,
    'dev/a:9090': 1234,
  });
});

test('two that ask for one port: the second gets another', async () => {
  const asks = { 'banksman.local/port': '7000' };
  const services = balanced(service('a', [{ port: 80 }], asks), service('b', [{ port: 80 }], asks));
  expect(await given(services, [], allFree)).toEqual({ 'dev/a:80': 7000, 'dev/b:80': 80 });
});

test.each(['0', '65536', 'http', '80 80', '-1', 'a=b', ''])(
  'an annotation that names no port is passed over: %j',
  (text) => {
    expect(parseAnnotation(text)).toEqual({ single: undefined, byName: new Map() });
  },
);

test('other types, other classes, UDP, headless and dying Services are not published', () => {
  expect(readBalanced(service('a', [{ port: 1 }], {}, { type: 'ClusterIP' }))).toBeUndefined();
  expect(readBalanced(service('a', [{ port: 1 }], {}, { loadBalancerClass: 'x/y' }))).toBeUndefined();
  expect(readBalanced(service('a', [{ port: 1, protocol: 'UDP' }]))).toBeUndefined();
  expect(readBalanced(service('a', [{ port: 1 }], {}, { clusterIP: 'None' }))).toBeUndefined();
  const dying = service('a', [{ port: 1 }]);
  expect(readBalanced({ ...dying, metadata: { ...dying.metadata, deletionTimestamp: 'now' } })).toBeUndefined();
});
