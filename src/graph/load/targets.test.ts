import { describe, expect, it } from 'vitest';
import { openCommit } from '../files/commit-tree.ts';
import { createWorkspace, type Files, faultsOf, testRules } from '../test-workspace.ts';
import type { Label, Target } from '../types.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { loadGraph, loadTargets } from './load.ts';

async function targetsOf(files: Files): Promise<ReadonlyMap<Label, Target>> {
  return (await createWorkspace(files, { git: false }).load()).targets;
}

async function faults(files: Files) {
  return faultsOf(() => targetsOf(files));
}

/** What a BUILD file comes to see, told as the content of a target. */
async function seen(expression: string, files: Files = {}, above = ''): Promise<unknown> {
  const targets = await targetsOf({
    'p/BUILD': `${above}\nbuild_rule(name = "seen", content = json(${expression}), outs = ["seen"])`,
    ...files,
  });
  const { action } = targets.get('//p:seen')!;
  return action.kind === 'text' ? JSON.parse(action.content) : undefined;
}

const library = `
build_rule(
    name = "x", cmd = {"opt": "make", "dbg": "make debug"}, outs = {"bin": ["x", "y"]}, labels = ["go", "cc:-O2"],
    licences = ["MIT", "Apache-2.0"], entry_points = {"run": "x"},
)
`;

describe('functions on targets', () => {
  it('read what a target is', async () => {
    expect(await seen('[get_outs("x"), get_named_outs(":x"), get_entry_points("x")]', {}, library)).toEqual([
      ['x', 'y'],
      { bin: ['x', 'y'], run: ['x'] },
      { run: 'x' },
    ]);
    expect(await seen('[get_command("x"), get_command("x", "dbg"), get_licences("x")]', {}, library)).toEqual([
      'make',
      'make debug',
      ['MIT', 'Apache-2.0'],
    ]);
    expect(await seen('[get_labels("x", "cc:"), has_label("x", "go"), has_label("x", "py")]', {}, library)).toEqual([
      ['-O2'],
      true,
      false,
    ]);
    expect(await seen('get_outs("//q:y")', { 'q/BUILD': 'genrule(name = "y", outs = ["z"])' })).toEqual(['z']);
  });

  it('change a target of the same package', async () => {
    const targets = await targetsOf({
      'p/BUILD': `${library}
genrule(name = "a", outs = ["a"])
genrule(name = "b", outs = ["b"])
genrule(name = "c", outs = ["c"])
add_dep("x", ":a")
add_exported_dep(":x", "//p:b")
add_runtime_dep("x", ":c")
add_data("x", {"conf": ["f.txt"]})
add_out("x", "z")
add_out("x", "doc", "x.md")
add_entry_point("x", "walk", "y")
add_label("x", "late")
add_licence("x", "Apache-2.0")
set_command("x", "dbg", "make slowly")
set_command("x", "opt", "make fast")
`,
      'p/f.txt': '',
    });
    expect(targets.get('//p:x')).toMatchObject({
      deps: ['//p:a'],
      exportedDeps: ['//p:b'],
      data: {
        all: [
          { kind: 'label', label: '//p:c' },
          { kind: 'file', path: 'p/f.txt' },
        ],
        named: { conf: [{ kind: 'file', path: 'p/f.txt' }] },
      },
      outs: ['x', 'y', 'z', 'x.md'],
      namedOuts: { bin: ['x', 'y'], doc: ['x.md'], run: ['x'], walk: ['y'] },
      labels: ['go', 'cc:-O2', 'late'],
      licences: ['MIT', 'Apache-2.0'],
      action: { kind: 'shell', command: 'make fast' },
    });
    expect(Object.isFrozen(targets.get('//p:x'))).toBe(true);
  });

  it('refuse targets of other packages, and those that are not there yet', async () => {
    const files = { 'q/BUILD': 'genrule(name = "y", outs = ["z"])' };
    expect(await faults({ 'p/BUILD': 'add_label("//q:y", "l")', ...files })).toMatchObject([
      { code: 'graph/bad-target', message: expect.stringContaining('another package'), place: { file: 'p/BUILD' } },
    ]);
    expect(await faults({ 'p/BUILD': 'add_label("y", "l")', ...files })).toMatchObject([
      { code: 'language/value', message: 'this package has no target y so far' },
    ]);
    expect(
      await faults({ 'p/BUILD': 'build_rule(name = "y", outs = ["a"], entry_points = {"b": "c"})' }),
    ).toMatchObject([{ message: 'the entry point b must be one of the outputs' }]);
  });

  it('take the command of the build configuration', async () => {
    const targets = await targetsOf({
      'banksman.yaml': 'name: test\nconfig: { build_config: dbg }\n',
      'p/BUILD': `${library}\nbuild_rule(name = "y", cmd = {"opt": "only"})`,
    });
    expect(targets.get('//p:x')?.action).toMatchObject({ command: 'make debug' });
    expect(targets.get('//p:y')?.action).toMatchObject({ command: 'only' });
  });
});

describe('pre_build', () => {
  const files: Files = {
    'p/BUILD': `
def _choose(name):
    set_command(name, "link " + " ".join(get_labels(name, "flag:")))
    if has_label(name, "needs-extra"):
        add_dep(name, "//q:extra")

build_rule(name = "x", cmd = "link", deps = ["//q:a"], outs = ["x"], pre_build = _choose)
build_rule(name = "y", cmd = "link", deps = [":x"], outs = ["y"], pre_build = lambda name: add_label(name, get_command("x")))
`,
    'q/BUILD': `
genrule(name = "a", deps = [":b"], labels = ["flag:-a"], outs = ["a"], visibility = ["PUBLIC"])
genrule(name = "b", deps = [":c"], labels = ["flag:-b", "needs-extra"], outs = ["b"], output_is_complete = True)
genrule(name = "c", labels = ["flag:-c"], outs = ["c"])
genrule(name = "extra", outs = ["e"], visibility = ["PUBLIC"])
`,
  };

  it('knows all that a target depends on, and runs for dependencies first', async () => {
    const targets = await targetsOf(files);
    expect(targets.get('//p:x')).toMatchObject({ action: { command: 'link -a -b' }, deps: ['//q:a', '//q:extra'] });
    expect(targets.get('//p:y')?.labels).toEqual(['link -a -b']);
  });

  it('is run for wanted targets too, and what it adds is reached', async () => {
    const { root } = createWorkspace(files, { git: false });
    const { graph } = await loadTargets(await openWorkspace(root), ['//p:x'], { ruleFiles: testRules });
    expect([...graph.targets.keys()].sort()).toEqual(['//p:x', '//q:a', '//q:b', '//q:c', '//q:extra']);
  });

  it('fails at the place of the error', async () => {
    const found = await faults({
      'p/BUILD': 'def f(name):\n    fail("no " + name)\nbuild_rule(name = "x", outs = ["x"], pre_build = f)',
    });
    expect(found).toMatchObject([{ code: 'language/fail', message: 'no x', place: { file: 'p/BUILD', line: 2 } }]);
  });
});

describe('select', () => {
  const settings = `
build_rule(name = "on", labels = ["config:on"], _filegroup = True, visibility = ["PUBLIC"])
build_rule(name = "also", labels = ["config:on"], _filegroup = True)
build_rule(name = "off", labels = ["config:off"], _filegroup = True)
`;

  it('takes the value whose condition holds, else the default', async () => {
    expect(await seen('select({":on": 1, "default": 2})', {}, settings)).toBe(1);
    expect(await seen('select({":off": 1, "//conditions:default": 2})', {}, settings)).toBe(2);
    expect(await seen('select({"//q:on": [1], "default": []}) + [3]', { 'q/BUILD': settings })).toEqual([1, 3]);
    expect(await seen('select({":on": 1, ":also": 2, "default": 3})', {}, settings)).toBe(1);
  });

  it.each([
    ['select({":off": 1})', 'none of the conditions'],
    ['select({":onn": 1})', 'select asks for //p:onn, which does not exist'],
    ['select({":plain": 1})', 'no config_setting'],
  ])('%s fails', async (expression, message) => {
    const [fault] = await faults({ 'p/BUILD': `${settings}\ngenrule(name = "plain")\nx = ${expression}` });
    expect(fault).toMatchObject({ message: expect.stringContaining(message), place: { file: 'p/BUILD', line: 7 } });
  });

  it('says so where two packages ask for one another', async () => {
    const found = await faults({
      'p/BUILD': 'x = select({"//q:on": 1})',
      'q/BUILD': 'x = select({"//p:on": 1})',
    });
    expect(found.map(({ code }) => code)).toContain('graph/cycle');
  });
});

describe('labels as values', () => {
  it.each([
    ['decompose("//a/b:c")', ['a/b', 'c']],
    ['decompose("//a/b")', ['a/b', 'b']],
    ['decompose(":c")', ['p', 'c']],
    ['canonicalise("//a/b")', '//a/b:b'],
    ['workspace_label(":c")', '//p:c'],
    ['package_name("//a/b:c")', 'a/b'],
    ['subrepo_name()', ''],
    ['[is_semver("v1.2.3"), semver_check("1.2.3", "^1.2")]', [true, true]],
    ['"linux_amd64".matches("^(linux|darwin)_")', true],
  ])('%s', async (expression, value) => {
    expect(await seen(expression)).toEqual(value);
  });
});

describe('functions of git', () => {
  it('tell of the work tree and of each commit', async () => {
    const workspace = createWorkspace({
      BUILD: `
genrule(name = "x", cmd = " ".join([git_branch(), git_branch(short = False), git_commit(), git_show("%s|%an"), git_state()] + git_tags()))`,
    });
    const first = workspace.commit('first one');
    workspace.git('tag', 'v1');
    const command = async (target: Target | undefined) =>
      target?.action.kind === 'shell' ? target.action.command : undefined;
    const here = await workspace.load();
    expect(await command(here.targets.get('//:x'))).toBe(`main refs/heads/main ${first} first one|a clean v1`);
    workspace.write({ 'new.txt': 'x' });
    const dirty = await workspace.load();
    expect(await command(dirty.targets.get('//:x'))).toContain(' dirty v1');
    workspace.commit('second');
    const tree = await openCommit(workspace.root, first);
    const before = await loadGraph(await openWorkspace(workspace.root), { ruleFiles: testRules, tree });
    expect(await command(before.targets.get('//:x'))).toContain(`${first} first one|a clean v1`);
  });

  it('fail outside of a repository, and for formats that are not of the commit', async () => {
    expect(await faults({ BUILD: 'x = git_commit()' })).toMatchObject([{ code: 'graph/no-repository' }]);
    expect(await faults({ BUILD: 'x = git_show("%ar")' })).toMatchObject([
      { code: 'language/value', message: "git_show doesn't know %ar" },
    ]);
  });
});
