import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Fault } from '../fault/index.ts';
import { type Label, loadTargets, openWorkspace } from '../graph/index.ts';
import { silent } from '../progress/index.ts';
import { createBuilder } from './builder.ts';
import { startRemoteServer } from './testing/remote-server.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0).reverse()) await each();
});

async function workspace(files: Readonly<Record<string, string>>): Promise<TestWorkspace> {
  const made = await makeWorkspace(files);
  cleanups.push(() => made.remove());
  return made;
}

async function text(w: TestWorkspace, path: string): Promise<string> {
  return readFile(join(w.root, 'banksman-out/gen', path), 'utf8');
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: Fault) => error,
  );
}

/** A generator whose outputs only it knows, as of Protocol Buffers. */
const generator = {
  'p/BUILD': `
def _outs(name, output):
    for line in output:
        add_out(name, line)

build_rule(
    name = "gen",
    srcs = ["names.txt"],
    cmd = "for name in $(cat $SRC); do echo of $name > $PKG_DIR/$name.txt; echo $name.txt; done",
    post_build = _outs,
)
build_rule(name = "joined", srcs = [":gen"], outs = ["joined"], cmd = "cat $SRCS > $OUT")
`,
  'p/names.txt': 'b\na\n',
};

describe('post_build', () => {
  it('gives a target outputs that its command prints, and so again when the result is cached', async () => {
    const w = await workspace(generator);
    for (const ran of [['//p:gen', '//p:joined'], []]) {
      const built = await w.build('//p:joined');
      expect(Object.keys(built.ran)).toEqual(ran);
      expect(await text(w, 'p/joined')).toBe('of a\nof b\n');
      const { files } = await w.build('//p:gen');
      expect(files.map(({ path }) => path)).toEqual(['p/a.txt', 'p/b.txt']);
    }
    await w.write({ 'p/names.txt': 'c\n' });
    expect(Object.keys((await w.build('//p:joined')).ran)).toEqual(['//p:gen', '//p:joined']);
    expect(await text(w, 'p/joined')).toBe('of c\n');
    // Output that comes out the same stops the rebuild there.
    await w.write({ 'p/names.txt': 'c \n' });
    expect(Object.keys((await w.build('//p:joined')).ran)).toEqual(['//p:gen']);
  });

  it('is part of the key: an edit of what it calls runs the action again', async () => {
    const w = await workspace({
      'p/BUILD': `
subinclude("//defs:defs.build_defs")
build_rule(name = "gen", cmd = "touch $PKG_DIR/x.one $PKG_DIR/x.two; echo x", post_build = lambda name, output: add(name, output[0]))
`,
      'defs/defs.build_defs': 'ending = ".one"\ndef add(name, stem):\n    add_out(name, stem + ending)\n',
    });
    const paths = async () => (await w.build('//p:gen')).files.map(({ path }) => path);
    expect(await paths()).toEqual(['p/x.one']);
    await w.write({
      'defs/defs.build_defs':
        'ending = ".two"\n# Something else.\ndef add(name, stem):\n    add_out(name, stem + ending)\n',
    });
    expect(await paths()).toEqual(['p/x.two']);
    const before = (await w.graph()).targets.get('//p:gen')?.postBuild;
    await w.write({
      'defs/defs.build_defs':
        'ending = ".two"\ndef add(name, stem):\n    """Doc."""\n    add_out(name, stem + ending)  # said\n',
    });
    expect((await w.graph()).targets.get('//p:gen')?.postBuild).toEqual(before);
    expect(before).toMatchObject({ open: false });
  });

  it('makes targets and dependencies, of other packages too, which are built and count for keys', async () => {
    const files = {
      'p/BUILD': `
def _more(name, output):
    for line in output:
        build_rule(name = "made_" + line, srcs = [line + ".in"], outs = [line + ".out"], cmd = "tr a-z A-Z < $SRC > $OUT")
        add_dep("user", ":made_" + line)
    add_dep("user", "//q:far")
    set_command("user", "cat p/*.out q/far > $OUT")

build_rule(name = "list", srcs = ["list.txt"], outs = ["list"], cmd = "cp $SRC $OUT; cat $SRC", post_build = _more)
build_rule(name = "user", deps = [":list"], outs = ["user"], cmd = "false")
`,
      'p/list.txt': 'a\nb\n',
      'p/a.in': 'a\n',
      'p/b.in': 'b\n',
      'q/BUILD': `
build_rule(name = "far", deps = [":farther"], outs = ["far"], cmd = "cat q/farther > $OUT", visibility = ["PUBLIC"])
build_rule(name = "farther", outs = ["farther"], cmd = "echo far > $OUT")
`,
    };
    const w = await workspace(files);
    expect(Object.keys((await w.build('//p:user')).ran).sort()).toEqual([
      '//p:list',
      '//p:made_a',
      '//p:made_b',
      '//p:user',
      '//q:far',
      '//q:farther',
    ]);
    expect(await text(w, 'p/user')).toBe('A\nB\nfar\n');
    expect((await w.build('//p:user')).ran).toEqual({});
    await w.write({ 'p/b.in': 'c\n' });
    expect(Object.keys((await w.build('//p:user')).ran)).toEqual(['//p:made_b', '//p:user']);
    expect(await text(w, 'p/user')).toBe('A\nC\nfar\n');
    await w.write({ 'p/list.txt': 'a\n' });
    await w.build('//p:user');
    expect(await text(w, 'p/user')).toBe('A\nfar\n');
    // Queries see the graph as it is before anything is built.
    expect([...(await w.graph()).targets.keys()]).not.toContain('//p:made_a');
  });

  it('follows one another: functions of targets that functions have made', async () => {
    const w = await workspace({
      BUILD: `
def _step(depth):
    def _next(name, output):
        if depth > 0:
            build_rule(name = name + "x", outs = [name + "x"], deps = [":" + name], cmd = "echo " + name + "x | tee $OUT",
                       post_build = _step(depth - 1))
            add_dep("end", ":" + name + "x")
    return _next

build_rule(name = "s", outs = ["s"], cmd = "touch $OUT", post_build = _step(4))
build_rule(name = "end", deps = [":s"], outs = ["end"], cmd = "ls s* > $OUT")
`,
    });
    await w.build('//:end');
    expect(await text(w, 'end')).toBe('s\nsx\nsxx\nsxxx\nsxxxx\n');
    expect((await w.build('//:end')).ran).toEqual({});
  });

  it('comes to the same whichever action ends first', async () => {
    const rules = (first: string, second: string) => `
def _add(file):
    return lambda name, output: add_dep("user", ":" + file)

build_rule(name = "a", outs = ["a"], cmd = "sleep ${first}; touch $OUT", post_build = _add("x"))
build_rule(name = "b", outs = ["b"], cmd = "sleep ${second}; touch $OUT", post_build = _add("y"))
build_rule(name = "x", outs = ["x"], cmd = "touch $OUT")
build_rule(name = "y", outs = ["y"], cmd = "touch $OUT")
build_rule(name = "user", deps = [":b", ":a"], outs = ["user"], cmd = "echo \\"$(ls)\\" > $OUT")
`;
    const keys: string[] = [];
    for (const [first, second] of [
      ['0', '0.3'],
      ['0.3', '0'],
    ] as const) {
      const w = await workspace({ BUILD: rules(first, second) });
      await w.build('//:user');
      keys.push(await text(w, 'user'));
    }
    expect(keys[0]).toBe('a\nb\nx\ny\n');
    expect(keys[1]).toBe(keys[0]);
  });

  it('gives tests and programs what they need when they run', async () => {
    const w = await workspace({
      BUILD: `
def _data(name, output):
    add_data("t", ":" + output[0])
    add_data("prog", ":" + output[0])

build_rule(name = "which", outs = ["which"], cmd = "touch $OUT; echo words", post_build = _data)
build_rule(name = "words", outs = ["words.txt"], cmd = "echo hello > $OUT")
build_rule(name = "t", test = True, deps = [":which"], test_cmd = "grep hello words.txt", no_test_output = True)
build_rule(name = "prog", binary = True, deps = [":which"], outs = ["prog"], cmd = "touch $OUT")
`,
    });
    expect((await (await w.builder()).test(['//:t'])).tests.get('//:t')).toMatchObject({ status: 'passed' });
    await w.build('//:prog');
    expect(await text(w, 'words.txt')).toBe('hello\n');
  });

  it('knows what came out of output_dirs, takes one argument too, and an empty line for nothing printed', async () => {
    const w = await workspace({
      BUILD: `
def _check(name, output):
    if get_outs(name) != ["one", "two"] or output != [""]:
        fail(str(get_outs(name)) + str(output))

build_rule(name = "x", outs = ["one"], output_dirs = ["_out"], cmd = "mkdir _out; touch one _out/two", post_build = _check)
build_rule(name = "y", outs = ["y"], cmd = "touch $OUT more", post_build = lambda name: add_out(name, "more"))
build_rule(name = "z", content = "text", outs = ["z"], post_build = lambda name: add_label(name, "z"))
`,
    });
    for (const label of ['//:x', '//:y', '//:z'] as Label[]) await w.build(label);
    expect((await w.build('//:x')).files.map(({ path }) => path)).toEqual(['one', 'two']);
    expect((await w.build('//:y')).files.map(({ path }) => path)).toEqual(['more', 'y']);
  });

  it('says where a function fails, with the chain of calls', async () => {
    const w = await workspace({
      'p/BUILD': `
def _inner(line):
    fail("not " + line)

def _outer(name, output):
    _inner(output[0])

build_rule(name = "x", outs = ["x"], cmd = "echo good; touch $OUT", post_build = _outer)
`,
    });
    const fault = await faultOf(w.build('//p:x'));
    expect(fault).toMatchObject({
      code: 'graph/post-build',
      message: 'the post_build function of //p:x failed: not good',
      place: { file: 'p/BUILD', line: 3 },
    });
    expect(fault.related.map(({ message, place }) => [message, place.line])).toContainEqual(['the target', 8]);
    expect(fault.related.map(({ place }) => place.line)).toContain(6);
  });

  it.each<[string, string, string, string]>([
    [
      'a target that does not depend on it',
      'add_dep("other", ":x")',
      'graph/post-build',
      'the post_build function of //:x changes //:other, which does not depend on it',
    ],
    [
      'one that is there',
      'build_rule(name = "other")',
      'graph/post-build',
      'two targets of this package are named other',
    ],
    [
      'a target of nowhere',
      'add_dep("user", ":none")',
      'graph/missing-target',
      '//:user depends on //:none, which does not exist',
    ],
    [
      'a package of nowhere',
      'add_dep("user", "//q:none")',
      'graph/missing-target',
      '//:user depends on //q:none, which does not exist',
    ],
    [
      'what it may not see',
      'add_dep("user", "//q:hidden")',
      'graph/not-visible',
      '//:user depends on //q:hidden, which it may not see',
    ],
    [
      'an output of another target',
      'add_out(name, "other")',
      'graph/output-clash',
      '//:x and //:other both make other',
    ],
    [
      'an output that is not made',
      'add_out(name, "none")',
      'build/missing-output',
      'the action of //:x did not make none',
    ],
    ['a circle', 'add_dep("user", ":behind")', 'build/cycle', '//:user has come to depend on itself'],
    ['a package with an error', 'add_dep("user", "//broken:x")', 'graph/missing-package', "//broken can't be read"],
  ])('refuses %s', async (_, call, code, message) => {
    const w = await workspace({
      BUILD: `
build_rule(name = "x", outs = ["x"], cmd = "touch $OUT", post_build = lambda name, output: ${call})
build_rule(name = "other", outs = ["other"], cmd = "touch $OUT")
build_rule(name = "user", deps = [":x"], outs = ["user"], cmd = "touch $OUT")
build_rule(name = "behind", deps = [":user"], outs = ["behind"], cmd = "touch $OUT")
`,
      'q/BUILD': 'build_rule(name = "hidden", outs = ["hidden"], cmd = "touch $OUT")',
    });
    if (call.includes('broken')) {
      await w.write({ 'broken/BUILD': 'x = [' });
      // Only what the target reaches is evaluated.
      const { graph } = await loadTargets(await openWorkspace(w.root), ['//:user'], { ruleFiles: [] });
      const builder = createBuilder({ graph, builtins: {}, progress: silent, cacheFolder: w.cache });
      const fault = await faultOf(builder.build(['//:user']));
      expect([fault.code, fault.message]).toEqual([code, expect.stringContaining(message)]);
      return;
    }
    const fault = await faultOf(w.build('//:behind'));
    expect([fault.code, fault.message]).toEqual([code, expect.stringContaining(message)]);
    expect(fault.place?.file).toBe('BUILD');
  });

  it('stays with what it makes when two functions want the same name', async () => {
    const w = await workspace({
      BUILD: `
def _make(name, output):
    build_rule(name = "same", outs = [name + ".same"], cmd = "touch $OUT")

build_rule(name = "a", outs = ["a"], cmd = "touch $OUT", post_build = _make)
build_rule(name = "b", outs = ["b"], cmd = "touch $OUT", post_build = _make)
build_rule(name = "user", srcs = [":a", ":b"], outs = ["user"], cmd = "touch $OUT")
`,
    });
    expect((await faultOf(w.build('//:user'))).message).toMatch(/two targets of .* are named same/);
    await w.build('//:a');
  });

  it('is fed by results of other machines, with the same output', async () => {
    const far = await startRemoteServer({});
    cleanups.push(() => far.stop());
    const env = { BANKSMAN_REMOTE_CACHE: far.url };
    const first = await workspace(generator);
    await (await first.builder({ env })).build(['//p:joined']);
    const second = await workspace(generator);
    const result = await (await second.builder({ env })).build(['//p:joined']);
    expect(result).toMatchObject({ ran: [], fetched: 2 });
    expect(await text(second, 'p/joined')).toBe('of a\nof b\n');
  });
});

it('takes time in proportion where a package has many such targets', async () => {
  const w = await workspace({
    BUILD: `
def _after(name, output):
    add_out(name, name + ".more")

names = ["x" + str(i) for i in range(800)]
for name in names:
    build_rule(name = name, outs = [name], cmd = "true", post_build = _after)
build_rule(name = "group", srcs = [":" + name for name in names], _filegroup = True)
for i in range(200):
    build_rule(name = "user" + str(i), srcs = [":group"], outs = ["user" + str(i)], cmd = "true")
`,
  });
  const graph = await w.graph();
  const started = performance.now();
  const growing = graph.grow!();
  const all = [...graph.targets.keys()].filter((label) => label.startsWith('//:x'));
  for (const label of all) {
    growing.settle(label, []);
    growing.built(label, '', []);
  }
  growing.settle('//:group', all);
  for (let at = 0; at < 200; at++) growing.settle(`//:user${at}`, ['//:group']);
  expect(growing.targets.get('//:x7')?.outs).toEqual(['x7', 'x7.more']);
  expect(performance.now() - started).toBeLessThan(20_000);
});
