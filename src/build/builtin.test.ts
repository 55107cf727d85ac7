import { hash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { BuildFault } from './fault.ts';
import { mavenJar } from './maven/action.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';
import type { BuiltFile, BuiltinActions, BuiltinRequest } from './types.ts';

const workspaces: TestWorkspace[] = [];
async function workspace(files: Record<string, string>, builtins: BuiltinActions): Promise<TestWorkspace> {
  const made = await makeWorkspace(files, { builtins });
  workspaces.push(made);
  return made;
}
afterEach(async () => {
  for (const each of workspaces.splice(0)) await each.remove();
});

/** Writes what `content` gives to the first output. */
function writing(content: (request: BuiltinRequest) => Promise<string>) {
  return async (request: BuiltinRequest) => {
    const path = join(request.outputFolder, request.target.outs[0] ?? '');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await content(request));
  };
}

const faultOf = (promise: Promise<unknown>): Promise<BuildFault> =>
  promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: BuildFault) => error,
  );

describe('built-in actions', () => {
  const files = {
    'p/BUILD': `
build_rule(name = "dep", outs = {"text": ["dep.txt"], "noise": ["noise.txt"]}, srcs = ["noise"], cmd = "echo dep > p/dep.txt; cp p/noise p/noise.txt")
build_rule(name = "far", outs = ["far.txt"], content = "far")
build_rule(name = "near", outs = ["near.txt"], content = "near", deps = [":far"])
build_rule(
    name = "x", action = "describe", config = {"a": [1, None]}, srcs = {"one": ["s.txt"], "two": [":near"]}, deps = [":dep", ":near"],
    outs = ["sub/x.json"], needs_transitive_deps = True,
)
`,
    'p/s.txt': 'source',
    'p/noise': '1',
  };
  const describeAll = writing(async ({ config, srcs, deps, outputsOf }) =>
    JSON.stringify({
      config,
      one: await readFile(srcs.named.one?.[0]?.files[0]?.absolute ?? '', 'utf8'),
      two: srcs.named.two?.map((input) => input.files.map(({ path }) => path)),
      deps: deps.map(({ label, direct, files: of }) => [label, direct, of.map(({ path }) => path)]),
      near: await readFile(outputsOf('//p:near')[0]?.absolute ?? '', 'utf8'),
    }),
  );

  it('are given their inputs, dependencies before what needs them', async () => {
    const w = await workspace(files, { describe: { version: '1', run: describeAll } });
    const { files: made } = await w.build('//p:x');
    expect(JSON.parse(await readFile(made[0]!.absolute, 'utf8'))).toEqual({
      config: { a: [1, null] },
      one: 'source',
      two: [['p/near.txt']],
      deps: [
        ['//p:dep', true, ['p/dep.txt', 'p/noise.txt']],
        ['//p:far', false, ['p/far.txt']],
        ['//p:near', true, ['p/near.txt']],
      ],
      near: 'near',
    });
  });

  it('run again for another version or other facts, and not for outputs that they do not read', async () => {
    const w = await workspace(files, {});
    const build = async (action: BuiltinActions[string]) =>
      (await w.build('//p:x', { builtins: { describe: action } })).ran;
    const action = { version: '1', dependencyOutputs: 'text', run: describeAll };
    await build(action);
    expect(await build(action)).toEqual({});
    expect(await build({ ...action, version: '2' })).toEqual({ '//p:x': 'version of the built-in action has changed' });
    expect(await build({ ...action, version: '2', key: () => 'compiler 3' })).toEqual({
      '//p:x': 'facts of the built-in action is new',
    });
    await build(action);
    await w.write({ 'p/noise': '2' });
    expect(Object.keys(await build(action))).toEqual(['//p:dep']);
  });

  it('run programs in their sandbox, and fail with what these print', async () => {
    const run = writing(async (request) => {
      const done = await request.run({
        program: 'bash',
        args: ['-c', 'echo out; echo err >&2; ls /root 2>/dev/null | wc -l'],
      });
      return done.stdout;
    });
    const w = await workspace(files, { describe: { version: '1', run } });
    expect(await readFile((await w.build('//p:x')).files[0]!.absolute, 'utf8')).toBe('out\n0\n');
    const fail = writing(async (request) => {
      const args = ['-c', `echo "${request.srcs.named.one?.[0]?.files[0]?.absolute}:1: wrong" >&2; exit 2`];
      return (await request.run({ program: 'bash', args })).text;
    });
    const fault = await faultOf(w.build('//p:x', { builtins: { describe: { version: '3', run: fail } } }));
    expect(fault.message).toBe("//p:x can't be built: bash failed with exit code 2");
    expect(fault.notes).toEqual(['p/s.txt:1: wrong']);
  });

  it('may read sources where they lie, and what came of one that was edited meanwhile is not kept', async () => {
    let edit = true;
    const seen: BuiltFile[] = [];
    const run = writing(async ({ srcs }) => {
      const [file] = srcs.named.one?.[0]?.files ?? [];
      seen.push(file!);
      if (edit) await writeFile(file!.absolute, 'edited');
      return `${file?.sha256} ${await readFile(file!.absolute, 'utf8')}`;
    });
    const w = await workspace(files, { describe: { version: '1', readsInPlace: true, run } });
    expect(await faultOf(w.build('//p:x'))).toMatchObject({ code: 'build/input-changed' });
    expect(seen[0]).toMatchObject({ absolute: join(w.root, 'p/s.txt'), executable: false });
    expect(seen[0]?.sourceId).toBe(hash('sha1', 'blob 6\0source'));
    edit = false;
    const built = await w.build('//p:x');
    expect(await readFile(built.files[0]!.absolute, 'utf8')).toBe(`${hash('sha256', 'edited')} edited`);
    expect(built.ran).toHaveProperty(['//p:x']);
  });

  it('are given copies of links and folders, also where they read sources in place', async () => {
    const run = writing(async ({ srcs, temporaryFolder }) => {
      const all = srcs.all.flatMap((input) => input.files);
      const scratch = dirname(temporaryFolder);
      return JSON.stringify(all.map(({ path, absolute, kind }) => [path, absolute.startsWith(scratch), kind]));
    });
    const w = await workspace(
      {
        'p/BUILD': 'build_rule(name = "x", action = "describe", srcs = ["f", "link", "folder"], outs = ["x"])',
        'p/f': 'f',
        'p/folder/g': 'g',
      },
      { describe: { version: '1', readsInPlace: true, run } },
    );
    await symlink('f', join(w.root, 'p/link'));
    const built = await w.build('//p:x');
    expect(JSON.parse(await readFile(built.files[0]!.absolute, 'utf8'))).toEqual([
      ['p/f', false, 'file'],
      ['p/link', true, 'file'],
      ['p/folder', true, 'folder'],
    ]);
  });

  it('that are not there are named', async () => {
    const w = await workspace(files, { other: { version: '1', run: describeAll } });
    expect(await faultOf(w.build('//p:x'))).toMatchObject({
      code: 'build/unknown-action',
      next: 'use one of other',
      place: { file: 'p/BUILD' },
    });
  });

  it('may not use labels that the target does not declare', async () => {
    const run = writing(async ({ outputsOf }) => outputsOf('//p:nothing').join());
    const w = await workspace(files, { describe: { version: '1', run } });
    expect((await faultOf(w.build('//p:x'))).code).toBe('build/undeclared-input');
  });
});

describe('maven_jar', () => {
  it('refuses what names no artifact before anything is asked of the network', async () => {
    const w = await workspace(
      {
        BUILD:
          'build_rule(name = "j", action = "maven_jar", config = {"id": "a:b:1;rm", "sha256": ""}, outs = ["j.jar"])',
      },
      { maven_jar: mavenJar },
    );
    expect(await faultOf(w.build('//:j'))).toMatchObject({ code: 'build/bad-config', place: { file: 'BUILD' } });
  });
});
