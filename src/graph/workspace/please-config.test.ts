import { rmSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { affectedSince } from '../affected/affected.ts';
import { GraphFault } from '../fault.ts';
import { createWorkspace, type Files, faultsOf, testRules } from '../test-workspace.ts';
import type { Label } from '../types.ts';
import { pluginConfig, readPleaseConfig } from './please-config.ts';
import { openWorkspace } from './workspace.ts';

/** A repository of Please: no banksman.yaml. */
function pleaseRepository(files: Files) {
  const workspace = createWorkspace(files);
  if (files['banksman.yaml'] === undefined) rmSync(join(workspace.root, 'banksman.yaml'));
  return workspace;
}

async function command(files: Files): Promise<string> {
  const { targets } = await pleaseRepository(files).load();
  const action = [...targets.values()].at(-1)?.action;
  return action?.kind === 'shell' ? action.command : '';
}

describe('a repository of Please', () => {
  it('opens as it is', async () => {
    const { root } = pleaseRepository({ '.plzconfig': '; nothing to say\n' });
    const workspace = await openWorkspace(join(root));
    expect(workspace).toMatchObject({ root, buildFiles: ['BUILD', 'BUILD.plz'] });
    expect(workspace.name).toMatch(/^banksman-graph-/);
  });

  it('says how BUILD files are named, what is preloaded and what is left out', async () => {
    const workspace = pleaseRepository({
      '.plzconfig': `
[please]
version = 17.8.0
[Parse]
BuildFileName = BUILD.plz  ; for file systems without case
buildfilename = BUILD.x
preloadbuilddefs = defs/all.build_defs
PreloadSubincludes = //defs:more
blacklistdirs = experimental
[cache]
dir = "/tmp/x"
`,
      'defs/all.build_defs': 'def first(name):\n    genrule(name = name)',
      'defs/BUILD.x': 'filegroup(name = "more", srcs = ["more.build_defs"])',
      'defs/more.build_defs': 'def second(name):\n    genrule(name = name)',
      'a/BUILD.plz': 'first(name = "a")\nsecond(name = "b")',
      'a/b/BUILD': 'not a BUILD file here',
      'experimental/BUILD.plz': 'x = [',
    });
    expect([...(await workspace.load()).targets.keys()]).toEqual(['//a:a', '//a:b', '//defs:more']);
  });

  it('shows what is preloaded as that, where it is not at hand', async () => {
    const workspace = pleaseRepository({
      '.plzconfig': '[parse]\nBlacklistDirs = x\nPreloadSubincludes = //defs:more\n[plugin "cc"]\n',
      'defs/BUILD': '',
    });
    expect(await faultsOf(() => workspace.load())).toMatchObject([
      {
        code: 'graph/subinclude',
        message: "//defs:more can't be included: defs/BUILD makes no target more",
        place: { file: 'PreloadSubincludes of .plzconfig', line: 1 },
      },
    ]);
  });

  it('gives CONFIG its build configuration and that of plugins', async () => {
    const config = `
[BuildConfig]
node-version = 20
node-name = jod
lts = on
[build]
config = dbg
[Plugin "go"]
target = //plugins:go
ImportPath = github.com/x/y
[Plugin "foo"]
flag = a
flag = b
[java]
sourcelevel = 17
`;
    const build =
      'genrule(name = "x", cmd = json([CONFIG.NODE_VERSION, CONFIG.NODE_NAME, CONFIG.LTS, CONFIG.BUILD_CONFIG, CONFIG.GO.IMPORT_PATH, CONFIG.FOO.FLAG, CONFIG.JAVA]))';
    expect(JSON.parse(await command({ '.plzconfig': config, BUILD: build }))).toEqual([
      20,
      'jod',
      true,
      'dbg',
      'github.com/x/y',
      ['a', 'b'],
      { SOURCE_LEVEL: '17' },
    ]);
  });

  it('says the language of commands and where pkg-config looks, which [buildenv] can say otherwise', async () => {
    const envOf = async (config: string) => {
      const files = { '.plzconfig': config, BUILD: 'genrule(name = "x", cmd = CONFIG.PKG_CONFIG_PATH or "none")' };
      const target = (await createWorkspace(files, { git: false }).load()).targets.get('//:x');
      return [target?.env, target?.action];
    };
    expect(await envOf('')).toEqual([{}, { kind: 'shell', command: 'none' }]);
    expect(await envOf('[build]\nlang = de_DE.UTF-8\n[cpp]\npkgconfigpath = /opt/pc\n')).toEqual([
      { LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', PKG_CONFIG_PATH: '/opt/pc' },
      { kind: 'shell', command: '/opt/pc' },
    ]);
    expect((await envOf('[build]\nlang = x\n[buildenv]\nlang = y\n'))[0]).toMatchObject({ LANG: 'y' });
  });

  it('says whether tests end at their first error, and by which sums outputs may be locked', async () => {
    const files = (config: string) => ({
      '.plzconfig': `[build]\n${config}\n`,
      'a/BUILD': `gentest(name = "t", test_cmd = "x")\nbuild_rule(name = "g", cmd = "x", hashes = ["xxhash: 0123456789abcdef"])`,
    });
    const of = async (config: string) =>
      createWorkspace(files(`hashcheckers = sha256,xxhash\n${config}`), { git: false }).load();
    expect((await of('exitonerror = true')).targets.get('//a:t')?.exitOnError).toBe(true);
    expect((await of('exitonerror = false')).targets.get('//a:t')?.exitOnError).toBe(false);
    expect((await of('exitonerror = false')).targets.get('//a:g')?.exitOnError).toBe(false);
    const plain = await of('');
    expect(plain.targets.get('//a:t')?.exitOnError).toBeUndefined();
    expect(plain.targets.get('//a:g')?.hashes).toEqual(['0123456789abcdef']);
    const [fault] = await faultsOf(() => createWorkspace(files('hashcheckers = md5'), { git: false }).load());
    expect(fault).toMatchObject({ code: 'graph/bad-workspace', place: { file: '.plzconfig', line: 2 } });
  });

  it('has those packages of folders that are left out that others need', async () => {
    const { targets } = await createWorkspace(
      {
        '.plzconfig': '[parse]\nblacklistdirs = old\n',
        'a/BUILD': 'genrule(name = "a", deps = ["//old/b"])',
        'old/b/BUILD': 'genrule(name = "b", visibility = ["PUBLIC"], deps = ["//old/c"])',
        'old/c/BUILD': 'genrule(name = "c", visibility = ["PUBLIC"])',
        'old/d/BUILD': 'genrule(name = "broken", srcs = ["nothing"])',
      },
      { git: false },
    ).load();
    expect([...targets.keys()].sort()).toEqual(['//a:a', '//old/b:b', '//old/c:c']);
  });

  it('is overruled by banksman.yaml beside it', async () => {
    const files = {
      '.plzconfig':
        '[buildconfig]\na = plz\nb = plz\n[plugin "go"]\nimportpath = x\ngotool = y\n[parse]\nbuildfilename = BUILD.x',
      'banksman.yaml': 'name: mine\nconfig: { a: mine, go: { import_path: z } }\nbuild_files: [BUILD]\n',
      BUILD:
        'genrule(name = "x", cmd = " ".join([CONFIG.NAME, CONFIG.A, CONFIG.B, CONFIG.GO.IMPORT_PATH, CONFIG.GO.GO_TOOL]))',
    };
    expect(await command(files)).toBe('mine mine plz z y');
  });

  it('passes its environment to every action', async () => {
    const { targets } = await pleaseRepository({
      '.plzconfig': '[buildenv]\nsecret-word = x\n[build]\npassenv = HOME\npassenv = LANG',
      BUILD: 'build_rule(name = "x", env = {"A": "b"}, pass_env = ["LANG", "TERM"])',
    }).load();
    expect(targets.get('//:x')).toMatchObject({ env: { SECRET_WORD: 'x', A: 'b' }, passEnv: ['HOME', 'LANG', 'TERM'] });
  });

  it('switches off the functions of git where it says so', async () => {
    const workspace = pleaseRepository({ '.plzconfig': '[parse]\ngitfunctions = false', BUILD: 'x = git_commit()' });
    workspace.commit();
    expect(await faultsOf(() => workspace.load())).toMatchObject([{ code: 'graph/git', place: { file: 'BUILD' } }]);
  });

  it('takes a plugin from a local folder, with what that says of its settings', async () => {
    const plugin: Files = {
      'vendor/foo-rules/.plzconfig': `
[PluginDefinition]
name = foo
[PluginConfig "foo_tool"]
ConfigKey = FooTool
DefaultValue = //tools:foo
[PluginConfig "import_path"]
ConfigKey = Prefix
[PluginConfig "level"]
type = int
DefaultValue = 3
[PluginConfig "strict"]
type = bool
Optional = true
[PluginConfig "flags"]
Repeatable = true
[PluginConfig "pair"]
Repeatable = true
DefaultValue = -a
DefaultValue = -b
[PluginConfig "suite"]
Help = which one
`,
      'vendor/foo-rules/build_defs/BUILD':
        'filegroup(name = "foo", srcs = ["foo.build_defs"], visibility = ["PUBLIC"])',
      'vendor/foo-rules/build_defs/foo.build_defs':
        'def foo_library(name):\n    genrule(name = name, cmd = json(CONFIG.FOO))',
      BUILD: 'subinclude("///foo//build_defs:foo")\nfoo_library(name = "x")',
    };
    const values = {
      FLAGS: ['a'],
      FOO_TOOL: '///foo//tools:foo',
      IMPORT_PATH: 'x',
      LEVEL: 3,
      PAIR: ['-a', '-b'],
      STRICT: null,
      SUITE: '@//tools:suite|x',
    };
    const settings = '[plugin "foo"]\ntarget = //plugins:foo\nprefix = x\nflags = a\nsuite = //tools:suite|x\n';
    const declared = {
      ...plugin,
      '.plzconfig': settings,
      'plugins/BUILD': 'subrepo(name = "foo", path = "vendor/foo-rules", plugin = True)',
    };
    const commandOf = async (files: Files) => {
      const action = (await pleaseRepository(files).load()).targets.get('//:x')?.action;
      return action?.kind === 'shell' ? JSON.parse(action.command) : undefined;
    };
    expect(await commandOf(declared)).toEqual(values);
    const named = {
      ...plugin,
      '.plzconfig': settings.replace('target = //plugins:foo\n', ''),
      'banksman.yaml': 'name: x\nsubrepos: { foo: vendor/foo-rules }\n',
    };
    expect(await commandOf(named)).toEqual(values);
  });

  it("knows a plugin's settings in the plugin's own packages: inherited ones as they are outside, others as they are there", async () => {
    const workspace = pleaseRepository({
      '.plzconfig': '[plugin "foo"]\ntool = //tools:t\nprefix = x\nlevel = 4\n[buildconfig]\nword = outer\n',
      'banksman.yaml': 'name: x\nsubrepos: { foo: vendor/foo }\n',
      'vendor/foo/.plzconfig': `
[BuildConfig]
word = inner
mark = own
[Plugin "foo"]
prefix = y
tool = :own
[PluginDefinition]
name = foo
[PluginConfig "tool"]
Inherit = true
[PluginConfig "prefix"]
Optional = true
[PluginConfig "level"]
type = int
[PluginConfig "other"]
Optional = true
DefaultValue = :d
`,
      'vendor/foo/p/BUILD': 'genrule(name = "x", cmd = json([CONFIG.FOO, CONFIG.WORD, CONFIG.MARK]))',
      BUILD: 'genrule(name = "x", cmd = json(CONFIG.FOO))',
    });
    const { targets } = await workspace.load();
    const said = (label: Label) => {
      const action = targets.get(label)?.action;
      return action?.kind === 'shell' ? JSON.parse(action.command) : undefined;
    };
    const outer = { LEVEL: 4, OTHER: '///foo//:d', PREFIX: 'x', TOOL: '@//tools:t' };
    expect(said('//:x')).toEqual(outer);
    expect(said('//vendor/foo/p:x')).toEqual([{ ...outer, PREFIX: 'y' }, 'outer', 'own']);
  });

  it('can be a plugin itself: by its name its own rules are meant, with its own settings', async () => {
    const workspace = pleaseRepository({
      '.plzconfig':
        '[PluginDefinition]\nname = go\n[PluginConfig "go_tool"]\nDefaultValue = //tools:go\n[PluginConfig "flags"]\nRepeatable = true\n[Plugin "go"]\nflags = a\n',
      'build_defs/BUILD': 'filegroup(name = "go", srcs = ["go.build_defs"])',
      'build_defs/go.build_defs': 'def go_thing(name):\n    genrule(name = name, cmd = json(CONFIG.GO))',
      BUILD: 'subinclude("///go//build_defs:go")\ngo_thing(name = "x")',
    });
    const { targets } = await workspace.load();
    expect(targets.get('//:x')?.action).toMatchObject({ command: '{"FLAGS":["a"],"GO_TOOL":"@//tools:go"}' });
  });

  it('lets files change CONFIG for themselves and for those that include them', async () => {
    const workspace = pleaseRepository({
      '.plzconfig': '[buildconfig]\na = 1\n[parse]\npreloadbuilddefs = all.build_defs\n',
      'all.build_defs': 'CONFIG["ALL"] = "all"\n',
      'd/x.build_defs':
        'CONFIG.setdefault("FIRST", "f")\nCONFIG.setdefault("A", 2)\nCONFIG["B"] = ["b"]\ndef read():\n    return [CONFIG.A, CONFIG.B, CONFIG.get("C")]\n',
      'p/BUILD':
        'subinclude("//d:x.build_defs")\nCONFIG["C"] = 3\ngenrule(name = "p", cmd = json(read() + [CONFIG.FIRST, CONFIG.ALL]))',
      'q/BUILD': 'genrule(name = "q", cmd = json([CONFIG.get("B"), CONFIG.get("C"), "A" in CONFIG]))',
      'r/BUILD': 'subinclude("//d:x.build_defs")\nCONFIG.B[0] = "c"',
    });
    const faults = await faultsOf(() => workspace.load());
    expect(faults).toMatchObject([{ code: 'language/frozen', place: { file: 'r/BUILD', line: 2 } }]);
    workspace.write({ 'r/BUILD': null });
    const { targets } = await workspace.load();
    expect(targets.get('//p:p')?.action).toMatchObject({ command: '[1,["b"],3,"f","all"]' });
    expect(targets.get('//q:q')?.action).toMatchObject({ command: '[null,null,true]' });
  });

  it('has the built-in rules in place of plugins that it would fetch', async () => {
    const files = {
      '.plzconfig': '[plugin "go"]\ntarget = //plugins:go\n[plugin "cobol"]\ntarget = //plugins:cobol\n',
      'plugins/BUILD':
        'genrule(name = "d")\nsubrepo(name = "go", dep = ":d", plugin = True)\nsubrepo(name = "cobol", dep = ":d", plugin = True)',
    };
    const build = 'subinclude("///go//build_defs:go")\ngenrule(name = "x", cmd = "made")';
    expect((await pleaseRepository({ ...files, BUILD: build }).load()).targets.has('//:x')).toBe(true);
    const other = { ...files, BUILD: build.replace('///go', '///cobol') };
    expect(await faultsOf(() => pleaseRepository(other).load())).toMatchObject([
      {
        code: 'graph/subinclude',
        message: "///plugins/cobol//build_defs:go can't be included: its package has an error",
      },
      { message: 'the files of the subrepo plugins/cobol are built, and nothing is built to answer this' },
    ]);
  });

  it('counts in affected sets: a setting changes those that read it', async () => {
    const workspace = pleaseRepository({
      '.plzconfig': '[buildconfig]\na = 1\n',
      BUILD: 'genrule(name = "x", cmd = str(CONFIG.A))\ngenrule(name = "y")',
    });
    const since = workspace.commit();
    workspace.write({ '.plzconfig': '[buildconfig]\na = 2\n' });
    const { targets } = await affectedSince(await openWorkspace(workspace.root), { since, ruleFiles: testRules });
    expect(targets).toEqual(['//:x']);
  });

  it('never crashes or hangs on what is written there', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.constantFrom(
        '[parse]',
        '[Plugin "go"]',
        '[pluginconfig "x"]',
        '[a "\\""]',
        'buildfilename = "B',
        'a = \\',
        '; x',
        'blacklistdirs = a/..',
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        try {
          const read = readPleaseConfig([{ file: '.plzconfig', text: lines.join('\n'), internal: false }]);
          const atHand = read.plugin && { plugin: read.plugin, subrepo: 'x' };
          for (const plugin of Object.values(read.plugins)) pluginConfig(plugin.config, atHand);
        } catch (error) {
          expect(error).toBeInstanceOf(GraphFault);
          expect((error as GraphFault).place?.line).toBeGreaterThan(0);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['key = value\n', 1],
    ['[parse]\n!!\n', 2],
    ['[parse]\nblacklistdirs = ../x\n', 2],
    ['[sandbox]\nbuild = perhaps\n', 2],
  ])('with a line that makes no sense is an error there: %j', async (text, line) => {
    const { root } = pleaseRepository({ '.plzconfig': text });
    expect(await faultsOf(() => openWorkspace(root))).toMatchObject([
      { code: 'graph/bad-workspace', place: { file: '.plzconfig', line } },
    ]);
  });
});
