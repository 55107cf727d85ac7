import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { affectedSince } from '../affected/affected.ts';
import { GraphFault } from '../fault.ts';
import { loadTargets } from '../load/load.ts';
import { labelOf, parseLabel, parsePattern, splitLabel } from '../names/label.ts';
import { createWorkspace, type Files, faultsOf, testRules } from '../test-workspace.ts';
import type { Label } from '../types.ts';
import { openWorkspace } from '../workspace/workspace.ts';

const files: Files = {
  'third_party/BUILD': 'subrepo(name = "lib", path = "vendor/lib")',
  'app/BUILD': 'genrule(name = "app", deps = ["@third_party/lib//core:core", "///third_party/lib//core:docs"])',
  'vendor/lib/defs/BUILD': 'filegroup(name = "defs", srcs = ["x.build_defs"], visibility = ["PUBLIC"])',
  'vendor/lib/defs/x.build_defs': 'def made(name):\n    genrule(name = name, visibility = ["PUBLIC"])',
  'vendor/lib/core/BUILD': `
subinclude("//defs")
made(name = "docs")
genrule(
    name = "core",
    srcs = ["c.txt"],
    deps = ["//base:base", "@//tools:t", ":docs"],
    cmd = " ".join([package_name(), subrepo_name(), canonicalise(":core"), canonicalise("@//tools:t"), workspace_label("//base")]),
    visibility = ["PUBLIC"],
)`,
  'vendor/lib/core/c.txt': '1',
  'vendor/lib/base/BUILD': 'genrule(name = "base", visibility = ["//core/..."])',
  'tools/BUILD': 'genrule(name = "t", visibility = ["PUBLIC"])',
};

describe('subrepos', () => {
  it('have labels that count from their folder', async () => {
    const { targets } = await createWorkspace(files, { git: false }).load();
    expect(targets.get('//app:app')?.deps).toEqual(['//vendor/lib/core:core', '//vendor/lib/core:docs']);
    expect(targets.get('//vendor/lib/core:core')).toMatchObject({
      srcs: { all: [{ kind: 'file', path: 'vendor/lib/core/c.txt' }] },
      deps: ['//vendor/lib/base:base', '//tools:t', '//vendor/lib/core:docs'],
      action: {
        command: 'core third_party/lib ///third_party/lib//core:core @//tools:t //vendor/lib/base:base',
      },
    });
    expect(targets.get('//vendor/lib/base:base')?.visibility).toEqual(['//vendor/lib/core/...']);
  });

  it('are known whichever package is read first', async () => {
    // //zoo comes last, and declares what //a has been read as.
    const { targets } = await createWorkspace(
      {
        'a/x/BUILD': 'genrule(name = "x", deps = ["//y:y"])',
        'a/y/BUILD': 'genrule(name = "y", visibility = ["PUBLIC"])',
        'zoo/BUILD': 'subrepo(name = "a", path = "a")',
      },
      { git: false },
    ).load();
    expect(targets.get('//a/x:x')?.deps).toEqual(['//a/y:y']);
  });

  it('can be used in the package that declares them, wherever that is', async () => {
    const { targets } = await createWorkspace(
      {
        BUILD: 'subrepo(name = "lib", path = "vendor/lib")\nsubinclude("///lib//defs")\nmade(name = "own")',
        'vendor/lib/defs/BUILD': files['vendor/lib/defs/BUILD']!,
        'vendor/lib/defs/x.build_defs': files['vendor/lib/defs/x.build_defs']!,
      },
      { git: false },
    ).load();
    expect([...targets.keys()]).toEqual(['//:own', '//vendor/lib/defs:defs']);
  });

  it('can be asked for by a person, from anywhere', async () => {
    const { root } = createWorkspace(files, { git: false });
    const workspace = await openWorkspace(root);
    const ask = async (...patterns: string[]) =>
      (await loadTargets(workspace, patterns, { ruleFiles: testRules })).labels;
    expect(await ask('@third_party/lib//core:core')).toEqual(['//vendor/lib/core:core']);
    expect(await ask('///third_party/lib//core:all', '@third_party/lib//base')).toEqual([
      '//vendor/lib/core:docs',
      '//vendor/lib/core:core',
      '//vendor/lib/base:base',
    ]);
    expect((await ask('@third_party/lib//...')).length).toBe(4);
  });

  it('can be given a folder by banksman.yaml, in place of what BUILD files fetch', async () => {
    const { targets } = await createWorkspace(
      {
        ...files,
        'banksman.yaml': 'name: test\nsubrepos: { third_party/lib: vendor/lib }\n',
        'third_party/BUILD': 'genrule(name = "download")\nsubrepo(name = "lib", dep = ":download")',
      },
      { git: false },
    ).load();
    expect(targets.get('//app:app')?.deps).toEqual(['//vendor/lib/core:core', '//vendor/lib/core:docs']);
  });

  it('of the system that builds are the workspace, those of others are said to be for another system', async () => {
    const host = `${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`;
    const of = (label: string, more: Files = {}) => ({
      'p/BUILD': `genrule(name = "x")\ngenrule(name = "y", deps = ["${label}"])`,
      ...more,
    });
    const { targets } = await createWorkspace(of(`///${host}//p:x`), { git: false }).load();
    expect(targets.get('//p:y')?.deps).toEqual(['//p:x']);
    expect((await createWorkspace(of(`///${host}:x`), { git: false }).load()).targets.get('//p:y')?.deps).toEqual([
      '//p:x',
    ]);
    for (const label of ['///plan9_x86:x', '///freebsd_amd64//p:x', '///small:x']) {
      const files = of(label, {
        '.plzconfig_plan9_x86': '',
        BUILD: 'subrepo(name = "small", arch = "linux_386")\n',
      });
      const [fault] = await faultsOf(() => createWorkspace(files, { git: false }).load());
      expect(fault?.message).toMatch(/^\/\/\/\w+ is this workspace for another system than /);
    }
  });

  it('take part in affected sets', async () => {
    const workspace = createWorkspace(files);
    const since = workspace.commit();
    workspace.write({ 'vendor/lib/core/c.txt': '2' });
    const { targets } = await affectedSince(await openWorkspace(workspace.root), { since, ruleFiles: testRules });
    expect(targets).toEqual(['//app:app', '//vendor/lib/core:core']);
  });

  it('any text as a label in one gives a label inside the workspace, or a fault', () => {
    const scope = { package: 'vendor/lib/core', root: 'vendor/lib', folderOf: (name: string) => `subrepos/${name}` };
    const text = fc
      .array(fc.constantFrom('@', '/', '//', ':', '...', 'a', 'b/c', '..', '.', '|', ' ', 'all'), { maxLength: 8 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (each) => {
        for (const parse of [parseLabel, parsePattern]) {
          try {
            const found = parse(each, scope);
            const label =
              typeof found === 'string' ? found : found.kind === 'target' ? found.label : labelOf(found.package, 'x');
            expect(label).toMatch(/^(\/\/|\/\/\/[^/:]+(\/[^/:]+)*\/\/)([^/:]+(\/[^/:]+)*)?:[^/:]+$/);
            const { package: packageName, name } = splitLabel(label as Label);
            expect(labelOf(packageName, name)).toBe(label);
            expect(label).not.toMatch(/(\/|^)\.\.?(\/|:|$)/);
          } catch (error) {
            expect(error, each).toBeInstanceOf(GraphFault);
          }
        }
      }),
      { numRuns: 5000 },
    );
  });

  it.each<[string, Files, object]>([
    [
      'unknown',
      { 'app/BUILD': 'genrule(name = "x", deps = ["@third_party/lob//a:b"])' },
      { code: 'graph/bad-label', next: 'did you mean third_party/lib?', place: { file: 'app/BUILD' } },
    ],
    [
      'not there',
      { 'third_party/BUILD': 'subrepo(name = "lib", path = "vendor/lob")' },
      { code: 'graph/missing-source', place: { file: 'third_party/BUILD' } },
    ],
    [
      'outside',
      { 'third_party/BUILD': 'subrepo(name = "lib", path = "../lib")' },
      { code: 'graph/bad-target', place: { file: 'third_party/BUILD' } },
    ],
    [
      'made by a build',
      { 'third_party/BUILD': 'genrule(name = "d")\nsubrepo(name = "lib", dep = ":d")' },
      {
        code: 'graph/subinclude',
        message: 'the files of the subrepo third_party/lib are built, and nothing is built to answer this',
      },
    ],
    [
      'named twice',
      { 'third_party/BUILD': 'subrepo(name = "lib", path = "vendor/lib")\nsubrepo(name = "lib", path = "app")' },
      { code: 'graph/duplicate-target', place: { line: 2 } },
    ],
  ])('one that is %s is an error', async (_, changes, expected) => {
    const found = await faultsOf(() => createWorkspace({ ...files, ...changes }, { git: false }).load());
    expect(
      found.some((fault) => {
        try {
          expect(fault).toMatchObject(expected);
          return true;
        } catch {
          return false;
        }
      }),
      JSON.stringify(found.map(({ message, place }) => [message, place?.file])),
    ).toBe(true);
  });
});
