import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { faultOf, repository, useOwnCache } from '../testing/repository.ts';

useOwnCache();

/** Unpacks what `tarball` packed. The BUILD files lie there under another name: in this workspace they make no packages. */
const unpack = `mkdir $OUT && tar -xf $SRC -C $OUT --strip-components 1 && find $OUT -name '*.lib' | while read f; do mv $f \${f%.lib}; done`;
const thirdParty = `
tarball(name = "packed", srcs = ["//upstream"], out = "lib.tar", gzip = False)
genrule(name = "lib", srcs = [":packed"], outs = ["lib"], cmd = ${JSON.stringify(unpack)})
subrepo(name = "lib", dep = ":lib")
`;

/** A repository that comes in as an archive: it has rules of its own, and labels count from its root. */
const files = {
  'third_party/BUILD': thirdParty,
  'upstream/BUILD': 'filegroup(name = "upstream", srcs = ["lib"], visibility = ["PUBLIC"])\n',
  'upstream/lib/core/BUILD.lib': `
subinclude("//defs")
made(name = "core", srcs = ["c.txt"], deps = ["//base"])
`,
  'upstream/lib/core/c.txt': 'core\n',
  'upstream/lib/core/unused.txt': '1\n',
  'upstream/lib/base/BUILD.lib': `
genrule(name = "base", outs = ["b.txt"], cmd = "echo base of $(location //base:own) > $OUT", srcs = [":own"], visibility = ["PUBLIC"])
filegroup(name = "own", srcs = ["own.txt"])
`,
  'upstream/lib/base/own.txt': 'own\n',
  'upstream/lib/defs/BUILD.lib': 'filegroup(name = "defs", srcs = ["x.build_defs"], visibility = ["PUBLIC"])\n',
  'upstream/lib/defs/x.build_defs': `
def made(name, srcs, deps):
    genrule(name = name, srcs = srcs, deps = deps, outs = [name + ".txt"], visibility = ["PUBLIC"],
            cmd = "cat $SRCS $(location //base) > $OUT && echo " + subrepo_name() + " " + canonicalise(":" + name) + " >> $OUT")
`,
  'app/BUILD':
    'genrule(name = "app", srcs = ["///third_party/lib//core:core"], deps = ["@third_party/lib//base"], outs = ["a.txt"], cmd = "cat $SRCS > $OUT")\n',
};

describe('a subrepo that a target makes', () => {
  it('is built when its packages are wanted; its targets are labelled and built as all others', async () => {
    const { load, targets, build } = repository(files);
    expect([...(await load()).targets.keys()].sort()).toEqual([
      '///third_party/lib//base:base',
      '///third_party/lib//base:own',
      '///third_party/lib//core:core',
      '//app:app',
      '//third_party:lib',
      '//third_party:packed',
      '//upstream:upstream',
    ]);
    expect(await targets('///third_party/lib//...')).toContain('///third_party/lib//defs:defs');
    expect(await targets('@third_party/lib//base')).toEqual([
      '///third_party/lib//base:base',
      '///third_party/lib//base:own',
    ]);
    expect(await build('//app:app', 'app/a.txt')).toBe(
      'core\nbase of third_party/lib@/base/own.txt\nthird_party/lib ///third_party/lib//core:core\n',
    );
  });

  it('affects by what is in it, between any two commits', async () => {
    const { write, commit, affected, explain } = repository(files);
    const base = commit();
    const makers = ['//third_party:lib', '//third_party:packed', '//upstream:upstream'];
    write({ 'upstream/lib/core/c.txt': 'other\n' });
    const core = commit();
    write({ 'upstream/lib/core/c.txt': 'core\n', 'upstream/lib/core/unused.txt': '2\n' });
    const unused = commit();
    write({ 'upstream/lib/core/BUILD.lib': 'no BUILD file', 'third_party/BUILD': '(' });
    expect((await affected(base, core)).targets).toEqual(['///third_party/lib//core:core', '//app:app', ...makers]);
    expect((await affected(base, unused)).targets).toEqual(makers);
    write({
      ...files,
      'upstream/lib/defs/x.build_defs': files['upstream/lib/defs/x.build_defs'].replace('"cat ', '"cat /dev/null '),
    });
    expect((await affected(base)).targets).toEqual(['///third_party/lib//core:core', '//app:app', ...makers]);
    write({ ...files, 'upstream/lib/base/own.txt': 'changed\n' });
    const { chain, cause } = await explain('//app:app', base);
    expect(chain).toEqual(['///third_party/lib//base:own', '///third_party/lib//base:base', '//app:app']);
    expect(cause).toMatchObject({ kind: 'file', path: 'third_party/lib@/base/own.txt' });
  });

  it('can be used in the package that declares it, and from a folder of the workspace in its place', async () => {
    const { load, write, build } = repository({
      ...files,
      'third_party/BUILD': `${thirdParty}
subinclude("///third_party/lib//defs")
made(name = "own", srcs = ["///third_party/lib//base"], deps = [])
`,
    });
    expect((await load()).targets.has('//third_party:own')).toBe(true);
    write({
      'third_party/BUILD': thirdParty,
      'banksman.yaml': 'name: test\nsubrepos: { third_party/lib: vendor/lib }\n',
      'vendor/lib/core/BUILD':
        'genrule(name = "core", outs = ["c"], cmd = "echo vendored > $OUT", visibility = ["PUBLIC"])',
      'vendor/lib/base/BUILD': 'genrule(name = "base", outs = ["b"], cmd = "touch $OUT", visibility = ["PUBLIC"])',
    });
    expect(await build('//app:app', 'app/a.txt')).toBe('vendored\n');
  });

  it('can be what several outputs make, with settings of its own', async () => {
    const { load } = repository({
      'x/build.txt': 'genrule(name = "t", outs = [CONFIG.A], cmd = CONFIG.B, visibility = ["PUBLIC"])\n',
      'x/own.txt': '[buildconfig]\na = own\n',
      'x/more.txt': '[buildconfig]\na = more\nb = more\n',
      'x/BUILD': `
genrule(name = "r", srcs = glob(["*.txt"]), outs = ["r/BUILD", "r/.plzconfig", "r/more", "beside"],
        cmd = "cd x; mkdir -p r; touch beside; cp build.txt r/BUILD; cp own.txt r/.plzconfig; cp more.txt r/more")
subrepo(name = "r", dep = ":r", config = "more")
genrule(name = "u", cmd = "", deps = ["@x/r//:t"])
`,
    });
    expect((await load()).targets.get('///x/r//:t')).toMatchObject({ outs: ['own'], action: { command: 'more' } });
  });

  it('can be an archive from elsewhere, which is fetched once', async () => {
    const { root, write, load, commit, affected } = repository({
      'lib-1/BUILD.lib': 'filegroup(name = "old", srcs = ["a.txt"], visibility = ["PUBLIC"])',
      'lib-1/a.txt': 'a\n',
      'lib-1/p/BUILD': 'fail("taken out")',
    });
    execFileSync('tar', ['--create', '--gzip', '--file', 'lib.tar.gz', '--transform', 's/BUILD.lib/BUILD/', 'lib-1'], {
      cwd: root,
    });
    const archive = readFileSync(join(root, 'lib.tar.gz'));
    const server = createServer((_, response) => response.end(archive));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/lib.tar.gz`;
    const own = 'filegroup(name = \\"new\\", srcs = [\\"a.txt\\"], visibility = [\\"PUBLIC\\"])';
    write({
      'lib-1/p/BUILD': '',
      'third_party/BUILD': `
http_archive(name = "as_it_is", urls = ["${url}"], strip_prefix = "lib-1")
new_http_archive(name = "other", urls = ["${url}"], strip_prefix = "lib-1", strip_build = True, build_file_content = "${own}")
`,
      'app/BUILD': 'filegroup(name = "app", srcs = ["///third_party/as_it_is//:old", "@third_party/other//:new"])',
    });
    const ofApp = async () => (await load()).targets.get('//app:app')?.srcs.all;
    expect(await ofApp()).toEqual([
      { kind: 'label', label: '///third_party/as_it_is//:old' },
      { kind: 'label', label: '///third_party/other//:new' },
    ]);
    await new Promise((resolve) => server.close(resolve));
    const base = commit();
    write({ 'app/BUILD': 'filegroup(name = "app", srcs = ["///third_party/as_it_is//:old"])' });
    expect(await ofApp()).toHaveLength(1);
    expect((await affected(base)).targets).toEqual(['//app:app']);
  });

  it('can be a plugin: what includes its rules sees its settings', async () => {
    const { load } = repository({
      '.plzconfig': '[plugin "cobol"]\ntarget = //plugins:cobol\nlevel = 2\n',
      'plugins/rules.txt': 'def cobol(name):\n    genrule(name = name, cmd = CONFIG.COBOL.TOOL + CONFIG.COBOL.LEVEL)\n',
      'plugins/config.txt':
        '[plugindefinition]\nname = cobol\n[pluginconfig "tool"]\ndefaultvalue = cobc\n[pluginconfig "level"]\n',
      'plugins/BUILD': `
genrule(name = "cobol", srcs = glob(["*.txt"]), outs = ["cobol"],
        cmd = "mkdir -p $OUT/build_defs; cp plugins/config.txt $OUT/.plzconfig; cp plugins/rules.txt $OUT/build_defs/cobol.build_defs; echo 'filegroup(name = \\"cobol\\", srcs = [\\"cobol.build_defs\\"])' > $OUT/build_defs/BUILD")
subrepo(name = "cobol", dep = ":cobol", plugin = True)
`,
      'app/BUILD':
        'subinclude("///cobol//build_defs:cobol")\ncobol(name = "x")\ngenrule(name = "y", cmd = CONFIG.COBOL.TOOL)',
    });
    const { targets } = await load();
    expect(targets.get('//app:x')?.action).toEqual({ kind: 'shell', command: 'cobc2' });
    expect(targets.get('//app:y')?.action).toEqual({ kind: 'shell', command: 'cobc' });
  });

  it.each<[string, Record<string, string>, object]>([
    [
      'whose target fails',
      {
        'third_party/BUILD':
          'genrule(name = "lib", outs = ["lib"], cmd = "echo no >&2; exit 3")\nsubrepo(name = "lib", dep = ":lib")',
      },
      {
        code: 'graph/subinclude',
        message: "the subrepo third_party/lib can't be made: the action of //third_party:lib failed with exit code 3",
        place: expect.objectContaining({ file: 'third_party/BUILD', line: 2 }),
        notes: ['no'],
      },
    ],
    [
      'without the package',
      {
        'third_party/BUILD':
          'genrule(name = "lib", outs = ["lib"], cmd = "mkdir $OUT; touch $OUT/x")\nsubrepo(name = "lib", dep = ":lib")',
      },
      {
        code: 'graph/missing-target',
        message: '//app:app depends on ///third_party/lib//core:core, which does not exist',
        next: 'look at the files of the subrepo third_party/lib: it has no BUILD file in core',
      },
    ],
    [
      'that is no folder',
      {
        'third_party/BUILD':
          'genrule(name = "lib", outs = ["l"], cmd = "touch $OUT")\nsubrepo(name = "lib", dep = ":lib")',
      },
      { message: "the subrepo third_party/lib can't be made: third_party/l is no folder" },
    ],
    [
      'made of itself',
      {
        'third_party/BUILD':
          'genrule(name = "lib", srcs = ["//mid"], outs = ["lib"], cmd = "mkdir $OUT")\nsubrepo(name = "lib", dep = ":lib")',
        'mid/BUILD':
          'subinclude("///third_party/lib//defs")\ngenrule(name = "mid", outs = ["m"], visibility = ["PUBLIC"])',
      },
      {
        code: 'graph/cycle',
        message: 'the subrepo third_party/lib is needed to make //third_party:lib, which makes it',
      },
    ],
    [
      'that needs its own target',
      {
        'third_party/BUILD':
          'genrule(name = "lib", srcs = ["//mid"], outs = ["lib"], cmd = "mkdir $OUT")\nsubrepo(name = "lib", dep = ":lib")',
        'mid/BUILD':
          'genrule(name = "mid", srcs = ["///third_party/lib//core"], outs = ["m"], cmd = "touch $OUT", visibility = ["PUBLIC"])',
      },
      {
        code: 'graph/cycle',
        message: 'the subrepo third_party/lib is needed to make //third_party:lib, which makes it',
      },
    ],
    [
      'that is named above its declaration',
      {
        'third_party/BUILD':
          'genrule(name = "lib", srcs = ["///third_party/lib//core"], outs = ["lib"], cmd = "mkdir $OUT")\nsubrepo(name = "lib", dep = ":lib")',
      },
      { code: 'graph/bad-label', message: 'the subrepo third_party/lib is not declared yet' },
    ],
    [
      'of a target that is not there',
      { 'third_party/BUILD': 'subrepo(name = "lib", dep = ":lob")' },
      { code: 'graph/missing-target', place: expect.objectContaining({ file: 'third_party/BUILD', line: 1 }) },
    ],
  ])('one %s is an error', async (_, changes: Record<string, string>, expected) => {
    const { load } = repository({ ...files, ...changes });
    const fault = await faultOf(load());
    const all = [fault, ...fault.others];
    expect(all).toContainEqual(expect.objectContaining(expected));
  });
});
