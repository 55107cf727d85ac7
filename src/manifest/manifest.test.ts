import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFault } from '../fault/index.ts';
import type { Label } from '../graph/index.ts';
import {
  checkManifests,
  formatBundle,
  type ManifestFault,
  type ManifestOptions,
  parseBundle,
  renderManifests,
} from './index.ts';

const ledger = '//bank/ledger:image' as Label;
const sidecar = '//bank/common/sidecar:image' as Label;
const options: ManifestOptions = { package: 'bank/ledger', containers: [ledger, sidecar], namespace: 'dev' };
const references = new Map([
  [ledger, 'registry.local/bank/ledger:0123456789ab'],
  [sidecar, 'registry.local/bank/common/sidecar:ba9876543210'],
]);

const file = (source: string, path = 'bank/ledger/deployment.yaml') => ({ path, source });
const render = (source: string) => renderManifests([file(source)], references, options).text;

function faultOf(body: () => unknown): ManifestFault {
  try {
    body();
  } catch (error) {
    if (isFault(error)) return error as ManifestFault;
    throw error;
  }
  throw new Error('nothing was thrown');
}
const check = (source: string, more: Partial<ManifestOptions> = {}) =>
  checkManifests([file(source)], { ...options, ...more });
const refused = (source: string, more: Partial<ManifestOptions> = {}) => faultOf(() => check(source, more));

const pod = (containers: string) => `apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  containers:
${containers}`;

describe('rendering', () => {
  it('replaces labels at image positions and leaves every other byte', () => {
    const source = `# image: //bank/ledger:image stays in a comment
apiVersion: apps/v1
kind: Deployment
metadata:
  name:   ledger     # odd   spacing
  annotations: { note: "//bank/ledger:image" }
spec:
  template:
    spec:
      initContainers:
        - {name: migrate, image: "//bank/ledger:image"}   # flow, quoted
      containers:
        - name: ledger
          image:   //bank/ledger:image # trailing
          args: ["//bank/ledger:image"]
          env:
            - name: IMAGE
              value: //bank/ledger:image
        - name: sidecar
          image: '//bank/common/sidecar:image'
        - name: relative
          image: :image
        - name: other
          image: registry.example/x:1.2@sha256:${'a'.repeat(64)}
`;
    const expected = source
      .replace('image: "//bank/ledger:image"', 'image: "registry.local/bank/ledger:0123456789ab"')
      .replace('image:   //bank/ledger:image #', 'image:   registry.local/bank/ledger:0123456789ab #')
      .replace("'//bank/common/sidecar:image'", "'registry.local/bank/common/sidecar:ba9876543210'")
      .replace('image: :image', 'image: registry.local/bank/ledger:0123456789ab');
    expect(render(source)).toBe(expected);
  });

  it('tells apart labels where one begins like the other', () => {
    const v2 = '//bank/ledger:image-v2' as Label;
    const images = new Map([...references, [v2, 'registry.local/bank/ledger/image-v2:cccccccccccc'] as const]);
    const source = pod('    - {name: a, image: //bank/ledger:image}\n    - {name: b, image: //bank/ledger:image-v2}\n');
    const { text } = renderManifests([file(source)], images, { ...options, containers: [ledger, v2] });
    expect(text).toContain('{name: a, image: registry.local/bank/ledger:0123456789ab}');
    expect(text).toContain('{name: b, image: registry.local/bank/ledger/image-v2:cccccccccccc}');
  });

  it.each([
    ['block scalar', pod('    - name: a\n      image: >-\n        //bank/ledger:image\n      tty: true\n'), 1],
    ['anchor', pod('    - name: a\n      image: &i //bank/ledger:image\n    - name: b\n      image: *i\n'), 2],
    ['tag', pod('    - name: a\n      image: !!str //bank/ledger:image\n'), 1],
    ['quoted key', pod('    - name: a\n      "image": //bank/ledger:image\n'), 1],
    ['shared container', pod('    - &c {name: a, image: //bank/ledger:image}\n  initContainers: [*c]\n'), 2],
    ['line ends of Windows', pod('    - name: a\n      image: //bank/ledger:image\n').replaceAll('\n', '\r\n'), 1],
    ['byte order mark', `\uFEFF${pod('    - name: a\n      image: //bank/ledger:image\n')}`, 1],
    ['no last line end', pod('    - name: a\n      image: //bank/ledger:image'), 1],
    ['long key', pod('    - name: a\n      ? image\n      : //bank/ledger:image\n'), 1],
  ])('finds the node in any writing: %s', (_, source, count) => {
    const { text, documents } = renderManifests([file(source)], references, options);
    expect(text).not.toContain('//bank');
    expect(JSON.stringify(documents[0]?.object).split('registry.local/bank/ledger:0123456789ab')).toHaveLength(
      count + 1,
    );
  });

  it('resolves an alias of a text that stands elsewhere without touching that text', () => {
    const source = pod('    - name: a\n      args: [&label "//bank/ledger:image"]\n      image: *label\n');
    expect(render(source)).toBe(source.replace('*label', 'registry.local/bank/ledger:0123456789ab'));
  });

  it.each([
    'kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{image: //bank/ledger:image}]}}}}}',
    'kind: Rollout\nspec: {template: {spec: {initContainers: [{image: //bank/ledger:image}]}}}',
    'kind: PodTemplate\ntemplate: {spec: {ephemeralContainers: [{image: //bank/ledger:image}]}}',
    'kind: Cluster\nspec: {groups: [{podTemplate: {spec: {containers: [{image: //bank/ledger:image}]}}}]}',
  ])('knows pod templates of any kind: %s', (body) => {
    expect(render(`apiVersion: x/v1\nmetadata: {name: x}\n${body}\n`)).toContain(
      'registry.local/bank/ledger:0123456789ab',
    );
  });

  it('leaves what only looks like an image position', () => {
    const source =
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  image: //bank/ledger:image\n  containers: "- image: //bank/ledger:image"\n';
    expect(render(source)).toBe(source);
  });

  it('joins files as documents of one stream, comments kept', () => {
    const config = (name: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}`;
    const files = [
      file(`# first\n${config('a')}\n---\n# only a comment\n---\n${config('b')}`, 'a.yaml'),
      file(`---\n${config('c')}\n`, 'b.yaml'),
      file(`${config('d')} # last\n`, 'c.yaml'),
    ];
    const { text, documents } = renderManifests(files, references, options);
    expect(documents.map(({ object }) => object.metadata.name)).toEqual(['a', 'b', 'c', 'd']);
    expect(text).toBe(
      `# first\n${config('a')}\n---\n# only a comment\n---\n${config('b')}\n---\n${config('c')}\n---\n${config('d')} # last\n`,
    );
    expect(checkManifests([file(text)], options).documents).toHaveLength(4);
  });

  it('changes nothing of texts without labels, whatever they are', () => {
    const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant('//bank/ledger:image'));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), scalar), fc.string(), (data, comment) => {
        const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data });
        const source = `# ${comment.replace(/[^ -~]/g, '')}\n${body}\n`;
        expect(render(source)).toBe(source);
      }),
    );
  });

  it('fails for a label without an image', () => {
    const source = pod('    - {name: a, image: //bank/ledger:image}\n');
    const fault = faultOf(() => renderManifests([file(source)], new Map(), options));
    expect(fault).toMatchObject({ code: 'manifest/unresolved-image', place: { line: 7, column: 24, length: 19 } });
  });
});

describe('checking images', () => {
  it('refuses a label that the k8s_config does not list, with the one that was meant', () => {
    const fault = refused(pod('    - {name: a, image: //bank/ledger:imagee}\n'));
    expect(fault).toMatchObject({ code: 'manifest/unlisted-image', place: { line: 7, column: 24, length: 20 } });
    expect(fault.next).toContain('//bank/ledger:image');
  });

  it.each([
    ['nginx', 'manifest/unpinned-image'],
    ['nginx:latest', 'manifest/unpinned-image'],
    ['localhost:5000/nginx', 'manifest/unpinned-image'],
    ['$IMAGE', 'manifest/bad-image'],
    ['"Not An Image"', 'manifest/bad-image'],
    ['"//bank ledger"', 'manifest/bad-image'],
    ['"//"', 'manifest/bad-image'],
    ['/bank/ledger', 'manifest/bad-image'],
    ['5', 'manifest/bad-image'],
    ['""', 'manifest/bad-image'],
  ])('refuses image: %s', (image, code) => {
    expect(refused(pod(`    - name: a\n      image: ${image}\n`))).toMatchObject({ code, place: { line: 8 } });
  });

  it.each(['nginx:1.27', 'localhost:5000/nginx:1', `x@sha256:${'0'.repeat(64)}`])(
    'takes a pinned image: %s',
    (image) => {
      expect(check(pod(`    - name: a\n      image: ${image}\n`)).images).toEqual([]);
    },
  );

  it('warns of an image that is listed and not used', () => {
    const { images, warnings } = check(pod('    - {name: a, image: //bank/ledger:image}\n'));
    expect(images).toEqual([ledger]);
    expect(warnings).toMatchObject([{ code: 'manifest/unused-image' }]);
    expect(warnings[0]?.message).toContain(sidecar);
  });
});

describe('checking objects', () => {
  const config = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n';

  it.each([
    ['no kind', 'apiVersion: v1\nmetadata: {name: a}\n', 'manifest/missing-field'],
    ['no version', 'kind: ConfigMap\nmetadata: {name: a}\n', 'manifest/missing-field'],
    ['no name', 'apiVersion: v1\nkind: ConfigMap\n', 'manifest/missing-field'],
    ['generateName', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n', 'manifest/missing-field'],
    ['a number as name', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 12}\n', 'manifest/bad-field'],
    ['a text', 'just a text\n', 'manifest/bad-field'],
    ['a list', '- a\n', 'manifest/bad-field'],
    ['a List', 'apiVersion: v1\nkind: List\nmetadata: {name: l}\nitems: []\n', 'manifest/list'],
    ['another namespace', config.replace('name: c', 'name: c\n  namespace: prod'), 'manifest/wrong-namespace'],
    ['a label that is no text', `${config}  labels: {a: true}\n`, 'manifest/bad-field'],
    ['a variable that is no text', pod('    - {name: a, env: [{name: PORT, value: 80}]}\n'), 'manifest/bad-field'],
    ['nothing', '', 'manifest/empty'],
    ['only comments', '# a\n---\n# b\n', 'manifest/empty'],
    ['a key twice', `${config}data: {a: b, a: c}\n`, 'manifest/bad-yaml'],
    ['tabs', `${config}data:\n\ta: b\n`, 'manifest/bad-yaml'],
    ['an unknown alias', `${config}data: *x\n`, 'manifest/bad-yaml'],
    ['a merge key', `${config}data:\n  <<: {a: b}\n`, 'manifest/bad-yaml'],
    ['an open quote', `${config}data: {a: "b}\n`, 'manifest/bad-yaml'],
    ['an unknown tag', `${config}data: !secret x\n`, 'manifest/bad-yaml'],
    ['yes', `${config}immutable: yes\n`, 'manifest/ambiguous-value'],
    ['a huge number', `${config}data: {a: 12345678901234567890}\n`, 'manifest/ambiguous-value'],
  ])('refuses %s', (_, source, code) => {
    const fault = refused(source);
    expect(fault.code).toBe(code);
    expect(fault.place).toMatchObject({ file: 'bank/ledger/deployment.yaml', line: expect.any(Number) });
    expect(fault.place?.source).toBe(source);
  });

  it('reads octal numbers as Kubernetes does, and words in quotes as texts', () => {
    const { documents } = check(`${config}data: {answer: "yes", mode: 0400, plain: 10}\n`);
    expect(documents[0]?.object.data).toEqual({ answer: 'yes', mode: 256, plain: 10 });
  });

  it('refuses a bomb of aliases and a well of brackets without taking long', () => {
    const levels = Array.from(
      { length: 12 },
      (_, n) => `a${n}: &a${n} [${Array(10).fill(n === 0 ? 'x' : `*a${n - 1}`)}]`,
    );
    expect(refused(`${config}${levels.join('\n')}\n`).code).toBe('manifest/bad-yaml');
    expect(refused(`${config}data: ${'['.repeat(20_000)}\n`).code).toBe('manifest/bad-yaml');
    expect(refused(`${config}data: "${'x'.repeat(5_000_000)}"\n`).code).toBe('manifest/too-large');
  });

  it('names both places of an object that is written twice', () => {
    const files = [file(config, 'a.yaml'), file(`# x\n${config.replace('v1', 'v1')}`, 'b.yaml')];
    const fault = faultOf(() => checkManifests(files, options));
    expect(fault).toMatchObject({
      code: 'manifest/duplicate-object',
      place: { file: 'b.yaml', line: 5 },
      related: [{ place: { file: 'a.yaml', line: 4 } }],
    });
  });

  it('takes objects of one name and different kinds, and the namespace of the environment', () => {
    const second = config.replace('ConfigMap', 'Service').replace('name: c', 'name: c\n  namespace: dev');
    expect(check(`${config}---\n${second}`).documents).toHaveLength(2);
  });

  it('tells all faults of all files at once', () => {
    const fault = faultOf(() =>
      checkManifests([file('a: "', 'a.yaml'), file('', 'b.yaml'), file('- x', 'c.yaml')], options),
    );
    expect([fault, ...fault.others].map(({ place }) => place?.file)).toEqual(
      expect.arrayContaining(['a.yaml', 'b.yaml', 'c.yaml']),
    );
  });

  it('says where a field stands, also as the API server names it', () => {
    const [document] = check(
      pod('    - name: a\n      image: x:1\n      ports:\n        - containerPort: 80\n'),
    ).documents;
    expect(document?.locate(['spec', 'containers', 0, 'image'])).toMatchObject({ line: 8 });
    expect(
      document?.locate(['spec', 'containers', 'name="a"', 'ports', 'containerPort=80,protocol="TCP"']),
    ).toMatchObject({
      line: 10,
    });
    expect(document?.locate(['spec', 'containers', 0, 'absent'])).toMatchObject({ line: 7 });
  });
});

describe('bundles', () => {
  const bundle = {
    format: 1 as const,
    service: '//bank/ledger:ledger' as Label,
    owner: 'ledger',
    containers: [ledger, sidecar],
    files: [file('a: b # ü\n')],
  };

  it('are read as they were written, and written the same whatever the order of labels', () => {
    const text = formatBundle(bundle);
    expect(parseBundle(text, 'x')).toEqual({ ...bundle, containers: [sidecar, ledger] });
    expect(formatBundle({ ...bundle, containers: [sidecar, ledger] })).toBe(text);
  });

  it.each(['', 'null', '{}', '{"format":2}', '{"format":1,"service":"x"}'])('refuse %j', (text) => {
    expect(faultOf(() => parseBundle(text, 'x')).code).toBe('manifest/bad-bundle');
  });
});
