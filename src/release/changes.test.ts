import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../kube/index.ts';
import { changesBetween } from './changes.ts';

const deployment = (image: string, more: object = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'ledger', namespace: 'bank', resourceVersion: image },
  spec: {
    replicas: 1,
    template: {
      spec: {
        containers: [
          { name: 'side', image: 's' },
          { name: 'main', image, ...more },
        ],
      },
    },
  },
  status: { observed: image },
});
const secret = (password: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'p' },
  data: { password },
});

describe('changes between two sets of objects', () => {
  it('name each field by its place, and lists by the names in them', () => {
    expect(changesBetween([deployment('a:1')], [deployment('a:2', { tty: true })])).toEqual([
      {
        kind: 'Deployment',
        name: 'ledger',
        namespace: 'bank',
        change: 'changed',
        fields: [
          { path: 'spec.template.spec.containers[main].image', before: '"a:1"', after: '"a:2"' },
          { path: 'spec.template.spec.containers[main].tty', after: 'true' },
        ],
      },
    ]);
  });

  it('leave out what is the same, notes of the server among it', () => {
    const { metadata, ...rest } = deployment('a:1');
    const noted = { ...rest, metadata: { ...metadata, resourceVersion: '7', generation: 2 }, status: {} };
    expect(changesBetween([deployment('a:1')], [noted as KubeObject])).toEqual([]);
  });

  it('tell what comes and what goes', () => {
    const changes = changesBetween([deployment('a:1')], [secret('x')]);
    expect(changes.map(({ kind, change }) => [kind, change])).toEqual([
      ['Deployment', 'removed'],
      ['Secret', 'added'],
    ]);
  });

  it('never show what a secret holds', () => {
    const changes = changesBetween([secret('hunter2')], [secret('hunter3')]);
    expect(changes).toMatchObject([{ fields: [{ path: 'data.password', before: '(hidden)', after: '(hidden)' }] }]);
    expect(JSON.stringify(changes)).not.toContain('hunter');
  });

  it('show that only the order of a list changed', () => {
    const twisted = deployment('a:1') as unknown as { spec: { template: { spec: { containers: unknown[] } } } };
    twisted.spec.template.spec.containers.reverse();
    expect(changesBetween([deployment('a:1')], [twisted as never])[0]?.fields.map(({ path }) => path)).toEqual([
      'spec.template.spec.containers',
    ]);
  });

  it('cut what is long', () => {
    const [change] = changesBetween([deployment('a')], [deployment('b'.repeat(5000))]);
    expect(change?.fields[0]?.after?.length).toBe(300);
  });
});
