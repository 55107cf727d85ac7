import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createWorkspace, type Files, faultsOf, testRules } from '../test-workspace.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { loadTargets } from './load.ts';

const faults = (files: Files) => faultsOf(() => createWorkspace(files, { git: false }).load());
const sound = async (files: Files) =>
  expect((await createWorkspace(files, { git: false }).load()).targets.size).toBeGreaterThan(0);

describe('dependencies', () => {
  it('shows a missing target where it is written, with the nearest name', async () => {
    const found = await faults({
      'a/BUILD':
        'genrule(\n    name = "x",\n    deps = [\n        "//b:lib_go",\n        ":yy",\n        "//bb",\n    ],\n)\ngenrule(name = "y")',
      'b/BUILD': 'genrule(name = "lib_go2", visibility = ["PUBLIC"])\ngenrule(name = "b", visibility = ["PUBLIC"])',
    });
    expect(found).toMatchObject([
      {
        code: 'graph/missing-target',
        place: { file: 'a/BUILD', line: 4, column: 9, length: 12 },
        next: 'did you mean //b:lib_go2?',
      },
      {
        code: 'graph/missing-target',
        place: { line: 5, column: 9 },
        next: expect.stringMatching(/mean \/\/a:[xy]/) as string,
      },
      { code: 'graph/missing-target', place: { line: 6 }, next: 'did you mean //b:b?' },
    ]);
  });

  it('says how a target comes out of a lock file', async () => {
    const rule =
      'name = "debian", action = "debian_packages", config = {"locked_by": "banksman lock debian"}, outs = ["o"]';
    const files = (dep: string, more = ''): Files => ({
      'a/BUILD': `genrule(name = "x", deps = ["//d:${dep}"])`,
      'd/BUILD': `build_rule(${rule}, visibility = ["PUBLIC"])\n${more}`,
    });
    const advice = 'name zlib1g in //d:debian, unless it is there, and run: banksman lock debian';
    expect(await faults(files('zlib1g'))).toMatchObject([{ code: 'graph/missing-target', next: advice }]);
    expect(await faults(files('zlib1g', 'genrule(name = "zlib1", visibility = ["PUBLIC"])'))).toMatchObject([
      { next: 'did you mean //d:zlib1?', notes: [`or ${advice}`] },
    ]);
    const { root } = createWorkspace(files('debian'), { git: false });
    const opened = await openWorkspace(root);
    expect(await faultsOf(() => loadTargets(opened, ['//d:zlib1g'], { ruleFiles: testRules }))).toMatchObject([
      { next: advice, notes: ['d/BUILD makes //d:debian'] },
    ]);
  });

  it('finds a missing target in every role', async () => {
    const build = `build_rule(name = "x", srcs = [":a"], tools = [":b"], data = [":c"], exported_deps = [":d"], test = True, test_cmd = "x", test_tools = [":e"])`;
    expect((await faults({ 'p/BUILD': build })).map(({ message }) => message.match(/:([a-e]),/)?.[1]).sort()).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
    ]);
  });

  it('holds targets to their visibility and names both sides', async () => {
    const files = (visibility: string, dependant = 'b'): Files => ({
      'a/BUILD': `genrule(name = "x", visibility = ${visibility})`,
      [`${dependant}/BUILD`]: 'genrule(name = "y", srcs = ["//a:x"])',
    });
    expect(await faults(files('[]'))).toMatchObject([
      {
        code: 'graph/not-visible',
        place: { file: 'b/BUILD', line: 1, column: 29 },
        related: [{ message: 'visible to its own package only', place: { file: 'a/BUILD' } }],
      },
    ]);
    expect(await faults(files('["//b:all"]', 'b/c'))).toMatchObject([{ code: 'graph/not-visible' }]);
    // Parts of a rule see what the rule's own target may see.
    const parts = (name: string): Files => ({
      'a/BUILD': 'genrule(name = "x", visibility = ["//b:bin"])',
      'b/BUILD': `genrule(name = "${name}", deps = ["//a:x"])`,
    });
    await sound(parts('_bin#lib'));
    expect(await faults(parts('_binary#lib'))).toMatchObject([{ code: 'graph/not-visible' }]);
    expect(await faults(parts('bin_lib'))).toMatchObject([{ code: 'graph/not-visible' }]);
    await sound(files('["//b/..."]', 'b/c'));
    await sound(files('["//b:y"]'));
    await sound(files('["PUBLIC"]'));
  });

  it('keeps test-only targets out of everything else', async () => {
    const build = (more: string) => `genrule(name = "fake", test_only = True)\n${more}`;
    expect(await faults({ 'a/BUILD': build('genrule(name = "x", deps = [":fake"])') })).toMatchObject([
      { code: 'graph/test-only', place: { line: 2, column: 29 }, related: [{ place: { line: 1 } }] },
    ]);
    await sound({ 'a/BUILD': build('gentest(name = "t", test_cmd = "x", deps = [":fake"])') });
    await sound({ 'a/BUILD': build('genrule(name = "x", deps = [":fake"], test_only = True)') });
  });

  it('finds a missing group of outputs', async () => {
    const build = (named: string) =>
      `genrule(name = "a", outs = {"headers": ["a.h"]})\ngenrule(name = "x", srcs = [":a|${named}"])`;
    await sound({ 'p/BUILD': build('headers') });
    expect(await faults({ 'p/BUILD': build('header') })).toMatchObject([
      { code: 'graph/missing-target', next: 'did you mean //p:a|headers?' },
    ]);
  });
});

describe('cycles', () => {
  it('tells each once, with every step', async () => {
    const found = await faults({
      'a/BUILD':
        'genrule(name = "x", deps = ["//b:y"], visibility = ["PUBLIC"])\ngenrule(name = "self", deps = [":self"])',
      'b/BUILD': 'genrule(name = "y", srcs = ["//c:z"], visibility = ["PUBLIC"])',
      'c/BUILD':
        'genrule(name = "z", tools = ["//a:x"], visibility = ["PUBLIC"])\ngenrule(name = "outside", deps = [":z"])',
    });
    expect(found).toMatchObject([
      {
        code: 'graph/cycle',
        message: expect.stringContaining('//a:x -> //b:y -> //c:z -> //a:x') as string,
        place: { file: 'a/BUILD', line: 1 },
        related: [{ place: { file: 'b/BUILD' } }, { place: { file: 'c/BUILD' } }],
      },
      { code: 'graph/cycle', message: '//a:self depends on itself' },
    ]);
  });

  it('walks chains longer than the call stack', async () => {
    const length = 20_000;
    const build = Array.from(
      { length },
      (_, n) => `genrule(name = "t${n}", deps = [${n === 0 ? '' : `":t${n - 1}"`}])`,
    ).join('\n');
    const graph = await createWorkspace({ BUILD: build }, { git: false }).load();
    const { targetHash } = await import('../hash/hash.ts');
    const { buildDependencies, dependencies } = await import('../query/query.ts');
    expect(targetHash(graph, `//:t${length - 1}`)).toMatch(/^[0-9a-f]{64}$/);
    expect(dependencies(graph, [`//:t${length - 1}`])).toHaveLength(length - 1);
    expect(buildDependencies(graph, `//:t${length - 1}`)).toEqual([`//:t${length - 2}`]);
  });
});

describe('files', () => {
  it('finds a missing source, with the nearest name', async () => {
    expect(
      await faults({ 'a/BUILD': 'genrule(\n    name = "x",\n    srcs = ["mian.go"],\n)', 'a/main.go': '' }),
    ).toMatchObject([
      { code: 'graph/missing-source', place: { file: 'a/BUILD', line: 3, column: 13 }, next: 'did you mean main.go?' },
    ]);
    await sound({
      'a/BUILD': 'genrule(name = "x", srcs = ["empty", "folder", "link"])',
      'a/empty': '',
      'a/folder/f': '',
      'a/link': 'link:empty',
    });
  });

  it('says that git keeps no empty folders', async () => {
    const workspace = createWorkspace({ 'a/BUILD': 'genrule(name = "x", srcs = ["empty"])' });
    mkdirSync(join(workspace.root, 'a/empty/deep'), { recursive: true });
    const error = await workspace.load().catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'graph/missing-source',
      next: expect.stringContaining('git sees none in it, and keeps no empty folders') as string,
      place: { file: 'a/BUILD', line: 1, column: 29 },
    });
  });

  it('refuses the files of another package', async () => {
    expect(
      await faults({ 'a/BUILD': 'genrule(name = "x", srcs = ["b/c/f"])', 'a/b/BUILD': '', 'a/b/c/f': '' }),
    ).toMatchObject([
      { code: 'graph/crosses-package', place: { column: 29 }, message: expect.stringContaining('//a/b') as string },
    ]);
  });

  it('lets one target alone make an output', async () => {
    expect(
      await faults({ 'a/BUILD': 'genrule(name = "x", outs = ["o"])\ngenrule(name = "y", outs = ["o"])' }),
    ).toMatchObject([
      { code: 'graph/output-clash', place: { line: 2, column: 29 }, related: [{ place: { line: 1 } }] },
    ]);
    expect(
      await faults({
        'a/BUILD': 'genrule(name = "x", outs = ["b/o"])',
        'a/b/BUILD': 'genrule(name = "y", outs = ["o"])',
      }),
    ).toMatchObject([{ code: 'graph/output-clash', message: '//a:x and //a/b:y both make a/b/o' }]);
    expect(
      await faults({ 'a/BUILD': 'genrule(name = "x", outs = ["o"])\ngenrule(name = "y", outs = ["o/p"])' }),
    ).toMatchObject([{ code: 'graph/output-clash' }]);
    await sound({ 'a/BUILD': 'filegroup(name = "x", srcs = ["f"])\nfilegroup(name = "y", srcs = ["f"])', 'a/f': '' });
  });

  it('lets groups show the same file, and no two different ones under one name', async () => {
    const makers = {
      'b/BUILD': 'genrule(name = "b", outs = ["o"], visibility = ["PUBLIC"])',
      'c/BUILD': 'genrule(name = "c", outs = ["o"], visibility = ["PUBLIC"])',
    };
    const groups = (first: string, second: string) => ({
      ...makers,
      'a/BUILD': `filegroup(name = "x", srcs = ["${first}"])\nfilegroup(name = "y", srcs = ["${second}"])\n`,
      'a/o': '',
    });
    await sound(groups('//b', '//b'));
    expect(await faults(groups('//b', '//c'))).toMatchObject([
      {
        code: 'graph/output-clash',
        message: '//a:x and //a:y both have a/o, which are different files: b/o of //b:b, c/o of //c:c',
        place: { file: 'a/BUILD', line: 2 },
        related: [{ message: '//a:x has it here', place: { file: 'a/BUILD', line: 1 } }],
      },
    ]);
    expect(await faults(groups('o', '//b'))).toMatchObject([
      { message: '//a:x and //a:y both have a/o, which are different files: a/o, b/o of //b:b' },
    ]);
    // By way of another group it is the same file; a source is another one than what a target makes.
    const chain = { 'c/BUILD': 'filegroup(name = "of_b", srcs = ["//b"], visibility = ["PUBLIC"])' };
    await sound({ ...groups('//b', '//c:of_b'), ...chain });
    expect(
      await faults({ 'a/BUILD': 'filegroup(name = "x", srcs = ["o"])\ngenrule(name = "y", outs = ["o"])', 'a/o': '' }),
    ).toMatchObject([{ message: '//a:y and //a:x both have a/o, which are different files: a/o of //a:y, a/o' }]);
    // Groups in a circle are that, and nothing else.
    expect(
      await faults({ 'a/BUILD': 'filegroup(name = "x", srcs = [":y"])\nfilegroup(name = "y", srcs = [":x"])' }),
    ).toMatchObject([{ code: 'graph/cycle' }]);
  });
});
