import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWorkspace, type Files, type TestWorkspace, testRules } from '../test-workspace.ts';
import type { Label } from '../types.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { explainSince } from './affected.ts';

async function explained(before: Files, edit: (workspace: TestWorkspace) => void, label: Label) {
  const workspace = createWorkspace(before);
  const base = workspace.commit();
  edit(workspace);
  const options = { ruleFiles: testRules, since: base };
  const explanation = await explainSince(await openWorkspace(workspace.root), label, options);
  workspace.commit();
  const committed = { ...options, to: 'HEAD' };
  expect(await explainSince(await openWorkspace(workspace.root), label, committed)).toEqual(explanation);
  // From kept graphs: the later side in the light of the earlier one, then both as they were kept.
  const kept = { cache: { minimumIndex: 0 } };
  for (const each of [committed, options, committed]) {
    const again = await explainSince(await openWorkspace(workspace.root), label, { ...each, ...kept });
    expect(again).toEqual(explanation);
  }
  return explanation;
}

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'banksman-graph-cache-'));
  process.env.BANKSMAN_CACHE = cache;
});
afterEach(() => {
  delete process.env.BANKSMAN_CACHE;
  rmSync(cache, { recursive: true, force: true });
});

const chain: Files = {
  'a/BUILD': `
genrule(name = "gen", srcs = ["in"], outs = ["gen"])
filegroup(name = "group", srcs = [":gen"], visibility = ["PUBLIC"])
`,
  'a/in': '1',
  'b/BUILD':
    'genrule(name = "lib", srcs = ["//a:group"])\ngenrule(name = "bin", deps = [":lib"])\ngenrule(name = "other")',
};

const macros: Files = {
  'defs/x.build_defs': `def quiet(name):
    genrule(name = name, cmd = "hush")

def loud(name):
    # as loud as it gets
    command = "shout"
    genrule(name = name, cmd = command)
`,
  'a/BUILD': 'subinclude("//defs:x.build_defs")\nloud("x")\nquiet("y")',
};

describe('explain', () => {
  it('gives the chain from a file to the target', async () => {
    expect(await explained(chain, (w) => w.write({ 'a/in': '2' }), '//b:bin')).toEqual({
      label: '//b:bin',
      chain: ['//a:gen', '//a:group', '//b:lib', '//b:bin'],
      cause: { kind: 'file', path: 'a/in', change: 'content' },
      otherChains: 0n,
    });
  });

  it('says where a target is not affected', async () => {
    const explanation = await explained(chain, (w) => w.write({ 'a/in': '2' }), '//b:other');
    expect(explanation).toEqual({ label: '//b:other', chain: [], cause: undefined, otherChains: 0n });
  });

  it('counts the other chains: by other targets, and from other causes', async () => {
    const build = `
genrule(name = "top", deps = [":left", ":right"])
genrule(name = "left", deps = [":base"])
genrule(name = "right", deps = [":base"], srcs = ["r"])
genrule(name = "base", srcs = ["f", "g"])
`;
    const explanation = await explained(
      { BUILD: build, f: '', g: '', r: '' },
      (w) => w.write({ f: '1', g: '1', r: '1' }),
      '//:top',
    );
    expect(explanation.chain).toEqual(['//:right', '//:top']);
    // By left to f and g, by right to f and g.
    expect(explanation.otherChains).toBe(4n);
  });

  it('counts chains that are more than a computer could list', async () => {
    const layers = 90;
    let build = 'genrule(name = "a0", srcs = ["f"])\ngenrule(name = "b0", srcs = ["f"])\n';
    for (let at = 1; at <= layers; at++) {
      for (const side of 'ab') build += `genrule(name = "${side}${at}", deps = [":a${at - 1}", ":b${at - 1}"])\n`;
    }
    const explanation = await explained({ BUILD: build, f: '' }, (w) => w.write({ f: '1' }), `//:a${layers}`);
    expect(explanation.chain).toHaveLength(layers + 1);
    expect(explanation.otherChains).toBe(2n ** BigInt(layers) - 1n);
  });

  it.each<[string, (workspace: TestWorkspace) => void, object]>([
    ['another mode', (w) => w.chmod('a/in', 0o755), { change: 'mode' }],
    ['another kind', (w) => w.write({ 'a/in': 'link:BUILD' }), { change: 'kind' }],
  ])('tells %s of a file', async (_, edit, cause) => {
    expect((await explained(chain, edit, '//a:gen')).cause).toMatchObject({ kind: 'file', path: 'a/in', ...cause });
  });

  it('names the file that a glob has gained or lost', async () => {
    const files: Files = { 'a/BUILD': 'genrule(name = "g", srcs = glob(["*.x"]))', 'a/1.x': '', 'a/2.x': '' };
    expect(await explained(files, (w) => w.write({ 'a/3.x': '' }), '//a:g')).toMatchObject({
      cause: { kind: 'file', path: 'a/3.x', change: 'added' },
      otherChains: 0n,
    });
    expect(await explained(files, (w) => w.write({ 'a/2.x': null }), '//a:g')).toMatchObject({
      cause: { kind: 'file', path: 'a/2.x', change: 'removed' },
      otherChains: 0n,
    });
  });

  it('names the attribute and the line of the BUILD file', async () => {
    const build = (command: string) =>
      `# a comment\ngenrule(name = "z")\ngenrule(\n    name = "x",\n    cmd = "${command}",\n)\n`;
    const edit = (w: TestWorkspace) => w.write({ BUILD: build('b').replace('a comment', 'another comment') });
    expect((await explained({ BUILD: build('a') }, edit, '//:x')).cause).toEqual({
      kind: 'attribute',
      attribute: 'cmd',
      origins: [{ kind: 'line', file: 'BUILD', line: 5 }],
    });
  });

  it('names the line of build_defs, and not that of another edit in the same file', async () => {
    const edited = macros['defs/x.build_defs']!.replace('hush', 'hush!').replace('"shout"', '"SHOUT"');
    const edit = (w: TestWorkspace) => w.write({ 'defs/x.build_defs': edited });
    const origin = async (label: Label) => (await explained(macros, edit, label)).cause;
    expect(await origin('//a:x')).toMatchObject({ origins: [{ kind: 'line', file: 'defs/x.build_defs', line: 6 }] });
    expect(await origin('//a:y')).toMatchObject({ origins: [{ kind: 'line', file: 'defs/x.build_defs', line: 2 }] });
  });

  it('names the entry of a data file', async () => {
    const files: Files = {
      'a/BUILD': 'for key, value in read_json("lock.json").items():\n    genrule(name = key, cmd = value)\n',
      'a/lock.json': '{\n"one": "1",\n"two": "2"\n}',
    };
    const edit = (w: TestWorkspace) => w.write({ 'a/lock.json': '{\n"one": "1.1",\n"two": "2.1"\n}' });
    const { cause } = await explained(files, edit, '//a:two');
    // Both entries are one stretch of changed lines.
    expect(cause).toMatchObject({ attribute: 'cmd', origins: [{ kind: 'line', file: 'a/lock.json', line: 2 }] });
  });

  it('names the configuration key', async () => {
    const yaml = (one: number, two: number) => `name: test\nconfig: { a: { one: ${one}, two: ${two} } }\n`;
    const files: Files = {
      'banksman.yaml': yaml(1, 1),
      BUILD: 'genrule(name = "x", cmd = str(CONFIG.A.ONE))\ngenrule(name = "y", cmd = str(CONFIG.A.TWO))',
    };
    const edit = (w: TestWorkspace) => w.write({ 'banksman.yaml': yaml(2, 2) });
    const origin = async (label: Label) => (await explained(files, edit, label)).cause;
    expect(await origin('//:x')).toMatchObject({
      attribute: 'cmd',
      origins: [{ kind: 'configuration', key: 'a.one' }],
    });
    expect(await origin('//:y')).toMatchObject({
      attribute: 'cmd',
      origins: [{ kind: 'configuration', key: 'a.two' }],
    });
  });

  it('names all files where only all of them together make the difference', async () => {
    const files: Files = {
      'd.build_defs': 'A = "1"',
      'e.build_defs': 'B = "1"',
      BUILD: 'subinclude("//:d.build_defs", "//:e.build_defs")\ngenrule(name = "x", cmd = A + B)',
    };
    const edit = (w: TestWorkspace) => w.write({ 'd.build_defs': 'A = "2"', 'e.build_defs': 'B = "2"' });
    expect((await explained(files, edit, '//:x')).cause).toMatchObject({
      origins: [
        { kind: 'file', file: 'd.build_defs' },
        { kind: 'file', file: 'e.build_defs' },
      ],
    });
  });

  it('follows what a provider gives, and a change of what it provides', async () => {
    const build = (provided: string) => `
genrule(name = "p", provides = {"go": [":${provided}"]})
genrule(name = "g", srcs = ["g"])
genrule(name = "h")
genrule(name = "x", deps = [":p"], requires = ["go"])
`;
    const files: Files = { BUILD: build('g'), g: '1' };
    expect((await explained(files, (w) => w.write({ g: '2' }), '//:x')).chain).toEqual(['//:g', '//:x']);
    expect(await explained(files, (w) => w.write({ BUILD: build('h') }), '//:x')).toMatchObject({
      chain: ['//:p', '//:x'],
      cause: { attribute: 'provides', origins: [{ kind: 'line', file: 'BUILD', line: 2 }] },
    });
  });

  it('says that a target is new, and that the earlier side is broken', async () => {
    expect((await explained(chain, (w) => w.write({ 'c/BUILD': 'genrule(name = "c")' }), '//c:c')).cause).toEqual({
      kind: 'new',
    });
    const edit = (w: TestWorkspace) => w.write({ 'd/BUILD': null });
    const broken = await explained({ ...chain, 'd/BUILD': 'x = [' }, edit, '//a:gen');
    expect(broken.note).toContain("can't be evaluated");
  });
});
