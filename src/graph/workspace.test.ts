import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createWorkspace, faultsOf } from './test-workspace.ts';
import { openWorkspace } from './workspace.ts';

describe('openWorkspace', () => {
  it('takes a name alone, from a folder below, and fills in the defaults', async () => {
    const { root } = createWorkspace({}, { git: false });
    mkdirSync(join(root, 'a/b'), { recursive: true });
    const workspace = await openWorkspace(join(root, 'a/b'));
    expect(workspace).toMatchObject({
      root,
      name: 'test',
      buildFiles: ['BUILD'],
      buildDefs: [],
      config: {},
      debian: { suite: 'bookworm' },
      registry: 'registry.local',
    });
    expect([...workspace.environments.values()]).toMatchObject([
      { name: 'dev', cluster: 'local', namespace: 'dev', registry: 'registry.local' },
    ]);
  });

  it('reads the whole form', async () => {
    const { root } = createWorkspace(
      {
        'banksman.yaml': `
name: bank
build_files: [BUILD.bazel, BUILD]
build_defs: [build/defs.build_defs, "//x:y.build_defs"]
config: { go: { import_path: example.com/bank, cgo: false }, list: [1, a] }
debian: { suite: trixie }
registry: registry.example.com:5000/bank
remote_cache: { url: "grpcs://cache.example.com:9092", token_env: CACHE_TOKEN, ca: ca.pem, instance: main, upload: false }
environments:
  dev: { cluster: local, namespace: dev }
  prod:
    cluster: eu
    namespace: prod
    context: arn:aws/eu
    registry: prod.example.com
    parameters: { replicas: 3, hosts: [a, b] }
`,
      },
      { git: false },
    );
    const workspace = await openWorkspace(root);
    expect(workspace).toMatchObject({
      buildFiles: ['BUILD.bazel', 'BUILD'],
      buildDefs: ['build/defs.build_defs', 'x/y.build_defs'],
      config: { go: { import_path: 'example.com/bank', cgo: false }, list: [1, 'a'] },
      debian: { suite: 'trixie' },
      remoteCache: {
        url: 'grpcs://cache.example.com:9092',
        tokenEnv: 'CACHE_TOKEN',
        ca: 'ca.pem',
        instance: 'main',
        upload: false,
      },
    });
    expect(workspace.environments.get('dev')).toMatchObject({ registry: 'registry.example.com:5000/bank' });
    expect(workspace.environments.get('prod')).toMatchObject({
      cluster: 'eu',
      context: 'arn:aws/eu',
      registry: 'prod.example.com',
      parameters: { replicas: 3, hosts: ['a', 'b'] },
    });
  });

  it('says what to create where there is none', async () => {
    const [fault] = await faultsOf(() => openWorkspace(tmpdir()));
    expect(fault).toMatchObject({ code: 'graph/no-workspace' });
    expect(fault?.next).toContain('name: x');
  });

  it.each<[string, RegExp, { line?: number; column?: number }, string?]>([
    ['', /is empty/, {}],
    ['nme: x\n', /nme: there is no such key/, { line: 1, column: 1 }, 'did you mean name?'],
    ['registry: r\n', /name is missing/, { line: 1 }],
    ['name: x\nremote_cache: {}\n', /url is missing/, { line: 2 }],
    ['name: x\nremote_cache: { url: cache }\n', /is not the address of a remote cache/, { line: 2 }],
    ['name: x\nremote_cache: { url: "grpc://c", upload: 1 }\n', /must be true or false/, { line: 2 }],
    ['name: 3\n', /name: must be a name .*, not a number/, { line: 1, column: 7 }],
    ['name: "a b"\n', /is not a name/, { line: 1, column: 7 }],
    ['name: x\nname: y\n', /not valid YAML/, { line: 2 }],
    ['name: x\n\tregistry: r\n', /not valid YAML/, { line: 2 }],
    ['- x\n', /must be a mapping/, { line: 1 }],
    [
      'name: x\nenvironments:\n  dev: { cluster: local, namespce: d }\n',
      /environments.dev.namespce/,
      { line: 3, column: 26 },
      'did you mean namespace?',
    ],
    ['name: x\nenvironments:\n  dev: { cluster: local }\n', /environments.dev: namespace is missing/, { line: 3 }],
    [
      'name: x\nenvironments:\n  Dev: { cluster: local, namespace: d }\n',
      /can't be the name of an environment/,
      { line: 3 },
    ],
    [
      'name: x\nenvironments:\n  dev:\n',
      /environments.dev: must be a mapping of keys to values, not nothing/,
      { line: 3 },
    ],
    ['name: x\nenvironments: {}\n', /environments: is empty/, { line: 2 }],
    ['name: x\nconfig: { a: 1.5 }\n', /config.a: 1.5 is neither/, { line: 2, column: 14 }],
    ['name: x\nconfig: { a: { b-c: 1 } }\n', /can't be read as an attribute/, { line: 2 }],
    ['name: x\nconfig: { a: &x [1], b: *x }\n', /alias/, { line: 2 }],
    ['name: x\nregistry: "a b"\n', /is not the name of a registry/, { line: 2 }],
    ['name: x\nbuild_files: [a/b]\n', /is not the name of a file/, { line: 2 }],
    ['name: x\nbuild_defs: [../x]\n', /leads out of the workspace/, { line: 2 }],
  ])('refuses %j', async (text, message, place, next) => {
    const { root } = createWorkspace({ 'banksman.yaml': text }, { git: false });
    const [fault] = await faultsOf(() => openWorkspace(root));
    expect(fault).toMatchObject({ code: 'graph/bad-workspace', message: expect.stringMatching(message) as string });
    expect(fault?.place).toMatchObject({ file: 'banksman.yaml', ...place });
    if (next !== undefined) expect(fault?.next).toBe(next);
  });
});
