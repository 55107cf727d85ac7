import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Fault, isFault } from '../../fault/index.ts';
import type { Json, Label } from '../../graph/index.ts';
import { checkManifests } from '../check.ts';
import type { ManifestFault } from '../fault.ts';
import { readDocuments } from '../read.ts';
import { renderManifests } from '../render.ts';
import type { ManifestFile } from '../types.ts';
import { adapt } from './adapt.ts';

interface Case {
  readonly name: string;
  readonly base: Json & { kind: string; metadata: { name: string } };
  readonly patch: { readonly metadata?: object };
  readonly expected: Json;
}

/** What `kubectl patch --local --type strategic` of Kubernetes 1.32 makes of each. */
const cases = JSON.parse(readFileSync(new URL('fixtures/strategic.json', import.meta.url), 'utf8')) as Case[];

const image = `registry.example.com/x@sha256:${'0'.repeat(64)}`;
const base = `# the ledger
apiVersion: apps/v1
kind: Deployment
metadata: { name: ledger }
spec:
  replicas: !param replicas # by environment
  template:
    spec:
      containers:
        - name: main # serves
          image: //bank/ledger:image
          env:
            - { name: LEVEL, value: "info" }
        - name: side
          image: ${image}
---
apiVersion: v1
kind: Service
metadata: { name: ledger }
spec:
  # both
  ports:
    - { port: 53, protocol: TCP, name: t }
    - { port: 53, protocol: UDP, name: u }
`;
const plain = `apiVersion: v1
kind: ConfigMap
metadata: {name: plain}   # as it is
data: { a:   "1" }
`;
const files: ManifestFile[] = [
  { path: 'bank/ledger/ledger.yaml', source: base },
  { path: 'bank/ledger/plain.yaml', source: plain },
];
const images = new Map([['//bank/ledger:image', 'reg/bank/ledger:abc']] as [Label, string][]);

function render(patch: string | undefined, parameters: Record<string, Json> = { replicas: 3 }) {
  const patches = patch === undefined ? [] : [{ path: 'bank/ledger/prod.yaml', source: patch }];
  return renderManifests(files, images, {
    package: 'bank/ledger',
    containers: ['//bank/ledger:image'],
    namespace: 'prod',
    parameters,
    patches,
  });
}

function faults(body: () => unknown): Fault[] {
  try {
    body();
  } catch (error) {
    if (isFault(error)) return [error, ...error.others];
    throw error;
  }
  return [];
}

const objectOf = (patch: string, kind = 'Deployment') =>
  render(patch).documents.find(({ object }) => object.kind === kind)?.object;
const json = (operations: string, kind = 'Deployment') =>
  `target: { kind: ${kind}, name: ledger }\npatch:\n${operations}`;

describe('a strategic merge', () => {
  it.each(cases)('$name: as Kubernetes does it', ({ base: object, patch, expected }) => {
    const found: ManifestFault[] = [];
    const documents = readDocuments({ path: 'base.yaml', source: stringify(object) }, found);
    const metadata = { name: object.metadata.name, ...patch.metadata };
    const source = stringify({ kind: object.kind, ...patch, metadata });
    const adapted = adapt(documents, { parameters: {}, patches: [{ path: 'patch.yaml', source }] }, found);
    expect(found).toEqual([]);
    expect(adapted.documents[0]?.value).toEqual(withoutRests(expected));
  });

  it('deletes an object', () => {
    const { documents, text } = render('kind: Service\nmetadata: { name: ledger }\n$patch: delete\n');
    expect(documents.map(({ object }) => object.kind)).toEqual(['Deployment', 'ConfigMap']);
    expect(text).not.toContain('port');
  });

  it('replaces lists of kinds that are not known, and takes any field of them', () => {
    const found: ManifestFault[] = [];
    const documents = readDocuments(
      {
        path: 'x.yaml',
        source: 'apiVersion: x.io/v1\nkind: Thing\nmetadata: { name: t }\nspec: { list: [{ name: a }], keep: 1 }\n',
      },
      found,
    );
    const source = 'kind: Thing\nmetadata: { name: t }\nspec: { list: [{ name: b }], more: 2 }\n';
    adapt(documents, { parameters: {}, patches: [{ path: 'p.yaml', source }] }, found);
    expect(found).toEqual([]);
    expect(documents[0]?.value).toMatchObject({ spec: { list: [{ name: 'b' }], keep: 1, more: 2 } });
  });

  const spec = (text: string) => `apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: ledger }\nspec:\n${text}`;
  it.each<[string, RegExp, number, string?]>([
    [spec('  replcas: 3\n'), /^spec has no field replcas$/, 5, 'did you mean replicas?'],
    [
      spec('  template: { spec: { containers: [{ name: main, imag: x }] } }\n'),
      /containers has no field imag/,
      5,
      'did you mean image?',
    ],
    [spec('  template: { spec: { containers: [{ image: x }] } }\n'), /an entry of .*containers has no name/, 5],
    [spec('  template: { spec: { containers: [{ name: none, $patch: delete }] } }\n'), /no such entry to delete/, 5],
    [spec('  template: { spec: { containers: [{ name: main, $patch: replace }] } }\n'), /stands alone/, 5],
    [spec('  $patch: remove\n'), /\$patch is delete, replace or merge/, 5],
    [spec('  $retain: []\n'), /there is no directive \$retain/, 5],
    [spec('  template: { spec: { $setElementOrder/containers: [] } }\n'), /is not followed here/, 5],
    [
      'kind: Service\nmetadata: { name: ledger }\nspec: { ports: [{ port: 53, name: x }] }\n',
      /2 entries with port 53/,
      3,
    ],
    [
      'kind: Deployment\nmetadata: { name: leger }\n',
      /there is no Deployment leger to patch/,
      2,
      'did you mean Deployment ledger?',
    ],
    ['apiVersion: extensions/v1\nkind: Deployment\nmetadata: { name: ledger }\n', /there is no Deployment ledger/, 3],
    ['metadata: { name: ledger }\n', /the patch has no kind/, 1],
    ['kind: Deployment\n', /the patch has no metadata.name/, 1],
    ['kind: Deployment\nmetadata: { name: ledger }\n$patch: replace\n', /a whole object is not replaced/, 3],
    ['# nothing\n', /holds no patch/, 1],
    ['- a\n', /a patch is a map/, 1],
  ])('refuses %j', (patch, message, line, next) => {
    const [fault] = faults(() => render(patch));
    expect(fault?.message).toMatch(message);
    expect(fault?.place).toMatchObject({ file: 'bank/ledger/prod.yaml', line });
    if (next !== undefined) expect(fault?.next).toBe(next);
  });
});

function withoutRests(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutRests);
  if (typeof value !== 'object' || value === null) return value;
  // Kubernetes leaves directives and nulls in what is new; they say nothing to it.
  return Object.fromEntries(
    Object.entries(value as Record<string, Json>)
      .filter(([key, each]) => each !== null && key !== '$retainKeys')
      .map(([key, each]) => [key, withoutRests(each)]),
  );
}

describe('a JSON patch', () => {
  it('adds, removes, replaces, moves, copies and tests (RFC 6902)', () => {
    const operations = `
  - { op: test, path: /spec/replicas, value: 3 }
  - { op: replace, path: /spec/replicas, value: 5 }
  - { op: add, path: /metadata/annotations, value: { a~b/c: "1" } }
  - { op: copy, from: /metadata/annotations/a~0b~1c, path: /metadata/annotations/d }
  - { op: move, from: /metadata/annotations/d, path: /metadata/annotations/e }
  - { op: add, path: /spec/template/spec/containers/0/args, value: [x] }
  - { op: add, path: /spec/template/spec/containers/0/args/-, value: z }
  - { op: add, path: /spec/template/spec/containers/0/args/1, value: y }
  - { op: remove, path: /spec/template/spec/containers/1 }
`;
    expect(objectOf(json(operations))).toMatchObject({
      metadata: { annotations: { 'a~b/c': '1', e: '1' } },
      spec: { replicas: 5, template: { spec: { containers: [{ name: 'main', args: ['x', 'y', 'z'] }] } } },
    });
    expect(
      objectOf(json('  - { op: replace, path: /spec/ports/1/name, value: w }\n', 'Service'), 'Service'),
    ).toMatchObject({
      spec: { ports: [{ name: 't' }, { name: 'w' }] },
    });
  });

  it.each<[string, RegExp, string?]>([
    ['{ op: replace, path: /spec/replica, value: 1 }', /the object has no \/spec\/replica$/, 'did you mean replicas?'],
    ['{ op: remove, path: /spec/template/spec/containers/7 }', /has no .*containers\/7/],
    ['{ op: add, path: /spec/a/b, value: 1 }', /has no \/spec\/a/],
    ['{ op: add, path: /spec/replcas, value: 1 }', /there is no field replcas/, 'did you mean replicas?'],
    ['{ op: add, path: /spec/template/spec/containers/0/imag, value: 1 }', /there is no field imag/],
    ['{ op: add, path: /spec/template/spec/containers/9, value: {} }', /the list has 2 entries/],
    ['{ op: add, path: /spec/template/spec/containers/01, value: {} }', /is not a place in a list/],
    ['{ op: test, path: /spec/replicas, value: 4 }', /it is 3, not 4/],
    ['{ op: ad, path: /spec, value: 1 }', /op is one of/, 'did you mean add?'],
    ['{ op: add, path: spec, value: 1 }', /begins with \//],
    ['{ op: add, path: /a~2, value: 1 }', /~0/],
    ['{ op: add, path: /spec/paused }', /add needs value/],
    ['{ op: remove, path: /spec, value: 1 }', /remove has no value/],
    ['{ op: replace, path: /metadata/name, value: x }', /another object/],
    ['{ op: remove, path: "" }', /the whole object/],
    ['{ op: move, from: /spec, path: /spec/template }', /into itself/],
    ['text', /an operation is a map/],
  ])('refuses %s', (operation, message, next) => {
    const [fault] = faults(() => render(json(`  - ${operation}\n`)));
    expect(fault).toMatchObject({ code: 'manifest/bad-patch' });
    expect(fault?.message).toMatch(message);
    expect(fault?.place).toMatchObject({ file: 'bank/ledger/prod.yaml', line: 3 });
    if (next !== undefined) expect(fault?.next).toBe(next);
  });

  it.each([
    ['target: { kind: Deployment }\npatch: []\n', /needs kind and name/],
    ['target: { kind: Deployment, nme: x }\npatch: []\n', /and no nme/],
    ['target: { kind: Deployment, name: ledger }\n', /list of operations/],
    ['patch: []\n', /has no target/],
    ['target: { kind: Deployment, name: ledger }\npatch: []\nmore: 1\n', /and no more/],
  ])('refuses the form %j', (patch, message) => {
    expect(faults(() => render(patch))[0]?.message).toMatch(message);
  });
});

describe('parameters', () => {
  it('take the place of whole values, with their types, and comments stay', () => {
    const { text, documents } = render(undefined);
    expect(documents[0]?.object).toMatchObject({ spec: { replicas: 3 } });
    expect(text).toContain('replicas: 3 # by environment');
    expect(text).toContain('# the ledger');
    expect(text).toContain('name: main # serves');
    expect(text).toContain('image: reg/bank/ledger:abc');
    // A file that nothing changes stays as it is, byte for byte.
    expect(text).toContain(plain);
  });

  it('may be texts that YAML would read as something else, lists and maps', () => {
    const source =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\ndata: { a: !param a, b: !param deep.b, c: !param c }\n';
    const { documents } = renderManifests([{ path: 'x.yaml', source }], new Map(), {
      package: '',
      containers: [],
      parameters: { a: 'yes', deep: { b: '0644' }, c: { x: ['1'] } },
    });
    expect(documents[0]?.object.data).toEqual({ a: 'yes', b: '0644', c: { x: ['1'] } });
  });

  it('that the environment does not have are errors at their place', () => {
    expect(faults(() => render(undefined, { replica: 1 }))).toMatchObject([
      {
        code: 'manifest/unknown-parameter',
        message: 'the environment has no parameter replicas',
        next: 'did you mean replica?',
        place: { file: 'bank/ledger/ledger.yaml', line: 6 },
      },
    ]);
    expect(faults(() => render(undefined, {}))[0]?.next).toContain('banksman.yaml');
    expect(faults(() => render(undefined, { replicas: { a: 1 } }))).toEqual([]);
    const inherited = 'kind: ConfigMap\napiVersion: v1\nmetadata: { name: x }\ndata: { a: !param constructor }\n';
    expect(
      faults(() => renderManifests([{ path: 'x', source: inherited }], new Map(), { package: '', containers: [] })),
    ).toMatchObject([{ code: 'manifest/unknown-parameter' }]);
  });

  it('need no environment to be checked', () => {
    const options = { package: 'bank/ledger', containers: ['//bank/ledger:image'] as Label[] };
    expect(checkManifests(files, options).images).toEqual(['//bank/ledger:image']);
    const patch = { path: 'p.yaml', source: 'kind: Deployment\nmetadata: { name: nobody }\n' };
    expect(faults(() => checkManifests(files, { ...options, unappliedPatches: [patch] }))).toMatchObject([
      { code: 'manifest/no-patch-target', place: { file: 'p.yaml', line: 2 } },
    ]);
  });

  it('stand in patches too', () => {
    const patch = 'kind: Deployment\nmetadata: { name: ledger }\nspec: { minReadySeconds: !param replicas }\n';
    expect(objectOf(patch)).toMatchObject({ spec: { minReadySeconds: 3 } });
  });
});

describe('what is patched', () => {
  const patch = `kind: Deployment
metadata: { name: ledger }
spec:
  template:
    spec:
      containers:
        - name: main
          env:
            # louder
            - name: LEVEL
              value: debug
`;

  it('tells of each value by where it was written', () => {
    const document = render(patch).documents.find(({ object }) => object.kind === 'Deployment');
    const at = (...path: (string | number)[]) =>
      document?.locate(['spec', 'template', 'spec', 'containers', 0, ...path]);
    expect(at('env', 0, 'value')).toMatchObject({ file: 'bank/ledger/prod.yaml', line: 11 });
    expect(at('image')).toMatchObject({ file: 'bank/ledger/ledger.yaml', line: 11 });
    expect(document?.locate(['spec', 'replicas'])).toMatchObject({ file: 'bank/ledger/ledger.yaml', line: 6 });
  });

  it('is checked as if it had been written so', () => {
    const wrong = patch.replace('value: debug', 'value: 7');
    expect(faults(() => render(wrong))).toMatchObject([
      { code: 'manifest/bad-field', place: { file: 'bank/ledger/prod.yaml', line: 11 } },
    ]);
    const unlisted = patch.replace('env:', 'image: //bank/other:image\n          env:');
    expect(faults(() => render(unlisted))).toMatchObject([
      { code: 'manifest/unlisted-image', place: { file: 'bank/ledger/prod.yaml', line: 8 } },
    ]);
  });

  it('is the same text each time, and reads as the objects that are told', () => {
    const { text, documents } = render(patch);
    expect(render(patch).text).toBe(text);
    const found: ManifestFault[] = [];
    expect(readDocuments({ path: 'x', source: text }, found).map(({ value }) => value)).toEqual(
      documents.map(({ object }) => object),
    );
    expect(found).toEqual([]);
  });

  it('leaves what an alias stood for elsewhere as it was', () => {
    const source = `apiVersion: v1
kind: ConfigMap
metadata: { name: x, labels: &l { a: "1" }, annotations: *l }
`;
    const { documents } = renderManifests([{ path: 'x.yaml', source }], new Map(), {
      package: '',
      containers: [],
      patches: [{ path: 'p.yaml', source: 'kind: ConfigMap\nmetadata: { name: x, labels: { a: "2" } }\n' }],
    });
    expect(documents[0]?.object.metadata).toEqual({ name: 'x', labels: { a: '2' }, annotations: { a: '1' } });
  });

  it('takes the patches in their order', () => {
    const one = {
      path: 'one.yaml',
      source: 'kind: Deployment\nmetadata: { name: ledger }\nspec: { replicas: 7, paused: true }\n',
    };
    const two = {
      path: 'two.yaml',
      source: json('  - { op: test, path: /spec/replicas, value: 7 }\n  - { op: remove, path: /spec/paused }\n'),
    };
    const options = {
      package: 'bank/ledger',
      containers: ['//bank/ledger:image'] as Label[],
      parameters: { replicas: 1 },
    };
    const { documents } = renderManifests(files, images, { ...options, patches: [one, two] });
    expect(documents[0]?.object.spec).toMatchObject({ replicas: 7 });
    expect(documents[0]?.object.spec).not.toHaveProperty('paused');
    expect(faults(() => renderManifests(files, images, { ...options, patches: [two, one] }))).toHaveLength(1);
  });
});
