import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Label, openWorkspace } from '../graph/index.ts';
import { createWorkspaceBuilder } from './building/builder.ts';
import { environmentOf } from './environment.ts';
import { renderService } from './render.ts';

const progress = { begin: () => ({ update() {}, done() {}, fail() {} }), say() {} };
const manifest = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { replicas: !param replicas, paused: false }
`;
const workspace = {
  'banksman.yaml': `name: test
environments:
  dev: { cluster: local, namespace: dev, parameters: { replicas: 1 } }
  prod: { cluster: local, namespace: prod, parameters: { replicas: 3 }, patches: [large, prod] }
`,
  'web/BUILD': `k8s_config(name = "web", srcs = ["web.yaml"], patches = {"prod": ["prod.yaml"], "large": ["large.yaml"]})\n`,
  'web/web.yaml': manifest,
  'web/large.yaml': 'kind: Deployment\nmetadata: { name: web }\nspec: { minReadySeconds: 5, paused: true }\n',
  'web/prod.yaml':
    'target: { kind: Deployment, name: web }\npatch: [{ op: replace, path: /spec/paused, value: false }]\n',
};

async function render(
  name: string,
  change: Readonly<Record<string, string>> = {},
  patterns: readonly string[] = ['//...'],
): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'banksman-render-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries({ ...workspace, ...change })) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const opened = await openWorkspace(root);
  const builder = await createWorkspaceBuilder(opened, { progress, patterns });
  return await renderService(builder, '//web:web' as Label, { environment: environmentOf(opened, name) });
}

describe('a service in an environment', () => {
  it('has its parameters and its sets of patches, in their order', async () => {
    expect(await render('dev')).toBe(
      manifest.replace('!param replicas', '1').replace('metadata: { name: web }', 'metadata: { name: web }'),
    );
    expect(await render('prod')).toContain('spec: { replicas: 3, paused: false, minReadySeconds: 5 }');
  });

  it('is not built with a patch for an object that it does not have', async () => {
    const wrong = { 'web/prod.yaml': 'kind: Deployment\nmetadata: { name: wep }\n' };
    await expect(render('dev', wrong)).rejects.toMatchObject({
      code: 'manifest/no-patch-target',
      place: { file: 'web/prod.yaml', line: 2 },
      next: 'did you mean Deployment web?',
    });
  });

  it('goes after services that there are, also where nothing else is wanted, and in a circle', async () => {
    const after = (label: string) => ({
      'web/BUILD': workspace['web/BUILD'].replace('srcs =', `after = ["${label}"], srcs =`),
      'store/BUILD':
        'k8s_config(name = "store", srcs = ["store.yaml"], after = ["//web"])\nfilegroup(name = "other", srcs = [])\n',
      'store/store.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: store }\n',
    });
    expect(await render('dev', after('//store'), ['//web'])).toContain('kind: Deployment');
    const missing = { code: 'release/unknown-service', place: { file: 'web/BUILD', line: 1 } };
    for (const patterns of [['//web'], ['//...']]) {
      await expect(render('dev', after('//store:stor'), patterns)).rejects.toMatchObject(missing);
      await expect(render('dev', after('//nowhere'), patterns)).rejects.toMatchObject(missing);
      await expect(render('dev', after('//store:other'), patterns)).rejects.toMatchObject({
        code: 'release/not-a-service',
        place: { file: 'web/BUILD' },
      });
    }
  });

  it('has no set that no environment applies', async () => {
    const wrong = { 'web/BUILD': workspace['web/BUILD'].replace('"prod"', '"prd"') };
    await expect(render('dev', wrong)).rejects.toMatchObject({
      code: 'release/unknown-patch-set',
      place: { file: 'web/BUILD' },
      next: 'did you mean prod?',
    });
  });
});
