import { expect, test } from 'vitest';
import { applyPlan, planApply } from './apply.ts';
import { KubeFault } from './fault.ts';
import type { ApiRequest, Cluster, KubeObject } from './types.ts';

const plurals: Readonly<Record<string, string>> = {
  ServiceAccount: 'serviceaccounts',
  ConfigMap: 'configmaps',
  Secret: 'secrets',
};
const object = (kind: string, name: string): KubeObject => ({ apiVersion: 'v1', kind, metadata: { name } });
const all = [
  object('Secret', 'a'),
  object('ServiceAccount', 'b'),
  object('ConfigMap', 'c'),
  object('ServiceAccount', 'd'),
];
const options = { namespace: 'dev' };

/** An API server that has nothing, says what it was asked, and refuses some names. */
function asked(...refused: readonly string[]) {
  const log: string[] = [];
  let underWay = 0;
  const cluster = {
    resource: async ({ apiVersion, kind }: KubeObject) => ({
      apiVersion,
      kind,
      plural: plurals[kind],
      namespaced: true,
    }),
    async request({ path, query, body }: ApiRequest) {
      const name = path.split('/').at(-1) ?? '';
      log.push(`${query?.dryRun === 'All' ? 'dry ' : ''}${name}${underWay > 0 ? '' : ' alone'}`);
      underWay++;
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      if (refused.includes(name)) throw new KubeFault('kube/invalid', `${name} is refused`);
      const dry = query?.dryRun === 'All';
      const { metadata, ...rest } = body as KubeObject;
      return { ...rest, metadata: { ...metadata, ...(!dry && { resourceVersion: '1' }) } };
    },
  } as unknown as Cluster;
  return { cluster, log };
}

test('of new objects the first is applied alone before the others, and is the only one not asked about', async () => {
  const { cluster, log } = asked();
  const plan = await planApply(cluster, all, { ...options, areNew: true });
  expect(log.map((each) => each.replace(' alone', '')).sort()).toEqual(['dry a', 'dry c', 'dry d']);
  log.length = 0;
  const now = await applyPlan(cluster, plan, options);
  expect(log[0]).toBe('b alone');
  expect(log.map((each) => each.replace(' alone', ''))).toEqual(['b', 'd', 'a', 'c']);
  expect(now).toHaveLength(4);
});

test('where the first of new objects is refused, none was applied', async () => {
  const { cluster, log } = asked('b');
  const plan = await planApply(cluster, all, { ...options, areNew: true });
  log.length = 0;
  await expect(applyPlan(cluster, plan, options)).rejects.toMatchObject({ code: 'kube/invalid', object: all[1] });
  expect(log).toEqual(['b alone']);
});

test('where another is refused, the first was not applied either', async () => {
  const { cluster, log } = asked('c', 'd');
  const refused = planApply(cluster, all, { ...options, areNew: true });
  await expect(refused).rejects.toMatchObject({ code: 'kube/invalid', others: [expect.anything()] });
  expect(log.every((each) => each.startsWith('dry '))).toBe(true);
});

test('what is known to be as it was applied is neither asked about nor applied', async () => {
  const { cluster, log } = asked();
  const plan = await planApply(cluster, all, { ...options, isAsApplied: ({ kind }) => kind === 'ServiceAccount' });
  const now = await applyPlan(cluster, plan, options);
  expect(log.filter((each) => /[bd]( alone)?$/.test(each))).toEqual([]);
  expect(now.map(({ metadata }) => metadata.name).sort()).toEqual(['a', 'b', 'c', 'd']);
});
