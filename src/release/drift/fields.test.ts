import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../kube/index.ts';
import { driftedFields, type FieldSet } from './fields.ts';

const ours: FieldSet = {
  'f:spec': {
    'f:replicas': {},
    'f:template': {
      'f:spec': {
        'f:containers': {
          'k:{"name":"main"}': { '.': {}, 'f:name': {}, 'f:image': {}, 'f:args': {} },
          'k:{"name":"proxy"}': { '.': {}, 'f:name': {} },
        },
      },
    },
    'f:finalizers': { 'v:"a"': {} },
  },
};

function object(spec: object, more: readonly object[] = [], fieldsV1: FieldSet = ours): KubeObject {
  const own = { manager: 'banksman', operation: 'Apply', time: '2026-01-01T00:00:00Z', fieldsV1 };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'a', managedFields: [own, ...more] }, spec };
}

const main = { name: 'main', image: 'a:1', args: ['x', 'y'] };
const spec = (containers: readonly object[], more: object = {}) => ({
  replicas: 2,
  finalizers: ['a'],
  template: { spec: { containers } },
  ...more,
});
const wanted = object(spec([main, { name: 'proxy' }]));

describe('drifted fields', () => {
  it('are none where only defaults, fields of others and the order of keyed lists differ', () => {
    const live = object(
      spec(
        [
          { name: 'other', image: 'x' },
          { name: 'proxy', image: 'added' },
          { ...main, imagePullPolicy: 'Always' },
        ],
        {
          paused: false,
          finalizers: ['b', 'a'],
        },
      ),
    );
    expect(driftedFields(wanted, live)).toEqual([]);
  });

  it('are told with who holds them now, by the key of their entry', () => {
    const edit = {
      manager: 'kubectl-edit',
      operation: 'Update',
      time: '2026-01-02T00:00:00Z',
      fieldsV1: {
        'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"main"}': { 'f:image': {} } } } } },
      },
    };
    const live = object(spec([{ ...main, image: 'a:2' }, { name: 'proxy' }]), [edit]);
    expect(driftedFields(wanted, live)).toEqual([
      {
        path: 'spec.template.spec.containers[name=main].image',
        wanted: 'a:1',
        found: 'a:2',
        by: { manager: 'kubectl-edit', operation: 'Update', time: '2026-01-02T00:00:00Z' },
      },
    ]);
  });

  it('are told once where a whole entry or branch is gone', () => {
    expect(driftedFields(wanted, object(spec([{ name: 'proxy' }])))).toMatchObject([
      { path: 'spec.template.spec.containers[name=main]', wanted: main, found: undefined },
    ]);
    expect(driftedFields(wanted, object({ replicas: 2, finalizers: [] })).map(({ path }) => path)).toEqual([
      'spec.template',
      'spec.finalizers["a"]',
    ]);
  });

  it('are told where the order of a list that is held whole differs', () => {
    const live = object(spec([{ ...main, args: ['y', 'x'] }, { name: 'proxy' }]));
    expect(driftedFields(wanted, live).map(({ path }) => path)).toEqual([
      'spec.template.spec.containers[name=main].args',
    ]);
  });
});
