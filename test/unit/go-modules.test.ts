import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { banksman, type Outcome } from '../e2e/workspace.ts';
import { moduleProxy } from '../support/module-proxy.ts';

// Real compilers, and the standard library of Go compiled the first time that anything on this machine needs it.
const patience = 300_000;

const removals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

interface Repository {
  readonly root: string;
  run(...args: string[]): Promise<Outcome>;
  /** Fails the test where the command fails. */
  must(...args: string[]): Promise<string>;
  write(files: Readonly<Record<string, string>>): Promise<void>;
  commit(): void;
}

type Modules = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A workspace under git; with its own modules it sees no others. */
async function repository(files: Readonly<Record<string, string>>, modules?: Modules): Promise<Repository> {
  const root = await mkdtemp(join(tmpdir(), 'banksman-go-modules-'));
  removals.push(() => rm(root, { recursive: true, force: true }));
  const proxy = modules === undefined ? undefined : await moduleProxy(modules);
  if (proxy !== undefined) removals.push(proxy.remove);
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid', ...args], { cwd: root });
  const made: Repository = {
    root,
    run: (...args) => banksman(root, args, proxy?.env),
    async must(...args) {
      const { code, stdout, stderr } = await made.run(...args);
      expect({ code, text: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, text: '' });
      return stdout;
    },
    async write(some) {
      for (const [path, text] of Object.entries(some)) {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await writeFile(join(root, path), text);
      }
    },
    commit() {
      git('add', '-A');
      git('commit', '-q', '-m', 'State');
    },
  };
  git('init', '-q', '-b', 'main');
  await made.write({ 'banksman.yaml': 'name: test\n', '.gitignore': 'banksman-out\n', ...files });
  return made;
}

const declared = `
package(default_visibility = ["PUBLIC"])
go_repo(module = "github.com/google/uuid", version = "v1.6.0")
go_repo(name = "testify", module = "github.com/stretchr/testify", version = "v1.9.0", install = ["assert", "require"])
go_repo(module = "github.com/davecgh/go-spew", version = "v1.1.1")
go_repo(module = "github.com/pmezard/go-difflib", version = "v1.0.0")
go_repo(module = "gopkg.in/yaml.v3", version = "v3.0.1")
`;

const service = {
  'third_party/go/BUILD': declared,
  'service/BUILD': `
go_library(name = "service", srcs = ["service.go"], deps = ["///third_party/go/github.com_google_uuid//:uuid"])
go_test(name = "test", srcs = ["service_test.go"], deps = [":service", "//third_party/go:testify", "///third_party/go/github.com_stretchr_testify//require"])
go_binary(name = "other", srcs = ["other.go"])
`,
  'service/service.go':
    'package service\n\nimport "github.com/google/uuid"\n\nfunc ID(of string) string { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(of)).String() }\n',
  'service/service_test.go':
    'package service\n\nimport (\n\t"testing"\n\n\t"github.com/stretchr/testify/assert"\n\t"github.com/stretchr/testify/require"\n)\n\nfunc TestID(t *testing.T) {\n\trequire.NotEmpty(t, ID("x"))\n\tassert.Equal(t, ID("x"), ID("x"))\n}\n',
  'service/other.go': 'package main\n\nfunc main() {}\n',
};

describe('real modules', { timeout: patience }, () => {
  it('are locked, fetched and tested against, and a new version is felt by its users alone', async () => {
    const w = await repository(service);
    const graph = await w.must('query', 'deps', '//service:test');
    expect(graph.split('\n')).toContain('//third_party/go:github.com_google_uuid');
    const unlocked = await w.run('build', '//service');
    expect(unlocked.stderr).toContain(
      'error[build/unlocked]: github.com/google/uuid is not in third_party/go/go.lock.json',
    );
    expect(unlocked.stderr).toContain('run banksman lock go');

    expect(await w.must('lock', 'go')).toContain('5 modules, 5 changed');
    const lock = await readFile(join(w.root, 'third_party/go/go.lock.json'), 'utf8');
    expect(JSON.parse(lock)).toMatchObject({
      modules: {
        'github.com/google/uuid': { version: 'v1.6.0', sum: 'h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=' },
        'github.com/stretchr/testify': {
          packages: {
            require: { name: 'require', deps: [':github.com_stretchr_testify~assert'] },
            assert: {
              deps: [
                ':github.com_davecgh_go-spew~spew',
                ':github.com_pmezard_go-difflib~difflib',
                ':gopkg.in_yaml.v3~.',
              ],
            },
          },
        },
      },
    });
    expect(await w.must('test', '//service:test')).toContain('1 passed, 0 failed');

    w.commit();
    await w.write({ 'third_party/go/BUILD': declared.replace('v1.6.0', 'v1.5.0') });
    await w.must('lock', 'go');
    const affected = (await w.must('query', 'affected', '--since', 'HEAD')).trim().split('\n');
    expect(affected).toEqual([
      '//service:service',
      '//service:test',
      '//third_party/go:github.com_google_uuid',
      '//third_party/go:github.com_google_uuid~.',
    ]);
    // A locked sum that the module does not have.
    const text = await readFile(join(w.root, 'third_party/go/go.lock.json'), 'utf8');
    await w.write({ 'third_party/go/go.lock.json': text.replace(/(v1\.5\.0",\s+"sum": "h1:)..../, '$1AAAA') });
    const wrong = await w.run('build', '//service');
    expect(wrong.stderr).toContain('error[build/hash-mismatch]: github.com/google/uuid@v1.5.0 has another sum');
  });
});

/** Modules whose names nobody had before. */
function madeModules(): { readonly top: string; readonly modules: Modules } {
  const top = `made.example/${randomBytes(6).toString('hex')}`;
  return {
    top,
    modules: {
      [`${top}/base@v1.0.0`]: {
        'go.mod': `module ${top}/base\n\ngo 1.20\n`,
        'base.go': 'package base\n\nfunc Twice(x int) int { return x + x }\n',
        'base_test.go': 'package base\n\nimport _ "nowhere.example/x"\n',
        'sum/sum.go': 'package sum\n\n// Of is in assembly.\nfunc Of(a, b int64) int64\n',
        'sum/sum_amd64.s':
          '#include "textflag.h"\n\nTEXT ·Of(SB),NOSPLIT,$0-24\n\tMOVQ a+0(FP), AX\n\tADDQ b+8(FP), AX\n\tMOVQ AX, ret+16(FP)\n\tRET\n',
        'sum/sum_arm64.s':
          '#include "textflag.h"\n\nTEXT ·Of(SB),NOSPLIT,$0-24\n\tMOVD a+0(FP), R0\n\tMOVD b+8(FP), R1\n\tADD R1, R0, R0\n\tMOVD R0, ret+16(FP)\n\tRET\n',
        'words/words.go': 'package words\n\nimport _ "embed"\n\n//go:embed deep/text.txt\nvar Text string\n',
        'words/deep/text.txt': 'embedded',
        // Before Go 1.22 one variable served all rounds.
        'loop/loop.go':
          'package loop\n\nfunc Last() int {\n\tvar fs []func() int\n\tfor i := 0; i < 3; i++ {\n\t\tfs = append(fs, func() int { return i })\n\t}\n\treturn fs[0]()\n}\n',
        'native/native.go':
          'package native\n\n// #include "../include/one.h"\nimport "C"\n\nfunc One() int { return C.ONE }\n',
        'native/pure.go': '//go:build !cgo\n\npackage native\n\nfunc One() int { return -1 }\n',
        'include/one.h': '#define ONE 1\n',
        'cmd/say/main.go': `package main\n\nimport (\n\t"fmt"\n\n\t"${top}/base"\n)\n\nfunc main() { fmt.Println(base.Twice(21)) }\n`,
        'broken/broken.go': 'package broken\n\nimport _ "nowhere.example/x"\n',
        'testdata/t.go': 'package testdata\n',
      },
      [`${top}/base@v1.1.0`]: {
        'go.mod': `module ${top}/base\n\ngo 1.22\n`,
        'base.go': 'package base\n\nfunc Twice(x int) int { return 2 * x }\n',
        'sum/sum.go': 'package sum\n\nfunc Of(a, b int64) int64 { return a + b }\n',
        'more/more.go': 'package more\n',
      },
      [`${top}/user/v2@v2.3.0`]: {
        'user.go': `package user\n\nimport "${top}/base"\n\nfunc Four() int { return base.Twice(2) }\n`,
      },
    },
  };
}

const main = (top: string) => `package main

import (
	"fmt"

	"${top}/base/loop"
	"${top}/base/native"
	"${top}/base/sum"
	"${top}/base/words"
	user "${top}/user/v2"
)

func main() { fmt.Println(user.Four(), sum.Of(20, 22), words.Text, loop.Last(), native.One()) }
`;

describe('packages of modules', { timeout: patience }, () => {
  const underscored = (top: string) => top.replaceAll('/', '_');

  it('are compiled with assembly, embedded files, C where that is wanted, and in their own version of the language', async () => {
    const { top, modules } = madeModules();
    const repo = (name: string) => `///go/${underscored(top)}_${name}`;
    const w = await repository(
      {
        'go/BUILD': `
go_repo(module = "${top}/base", version = "v1.0.0", install = ["sum", "words/...", "loop", "native"], name = "base")
go_repo(module = "${top}/user/v2", version = "v2.3.0")
`,
        'app/BUILD': `
go_binary(name = "app", srcs = ["main.go"], deps = ["//go:base", "${repo('user_v2')}//:v2"])
genrule(name = "said", tools = ["${repo('base')}//cmd/say"], cmd = "$TOOL > $OUT", out = "said.txt")
go_binary(name = "broken", srcs = ["broken.go"], deps = ["${repo('base')}//broken"])
`,
        'app/main.go': main(top),
        'app/broken.go': `package main\n\nimport _ "${top}/base/broken"\n\nfunc main() {}\n`,
      },
      modules,
    );
    const locked = await w.must('lock', 'go');
    expect(locked).toContain(`nowhere.example/x, imported by ${top}/base/broken`);
    await w.must('build', '//app', '//app:said');
    const app = join(w.root, 'banksman-out/bin/app/app');
    const said = () => execFileSync(app, { encoding: 'utf8' });
    expect(said()).toBe('4 42 embedded 3 -1\n');
    const bytes = await readFile(app);
    expect(bytes.includes(`${top}/base@v1.0.0/sum`)).toBe(true);
    expect(await readFile(join(w.root, 'banksman-out/gen/app/said.txt'), 'utf8')).toBe('42\n');
    const broken = await w.run('build', '//app:broken');
    expect(broken.stderr).toContain('imports nowhere.example/x');
    expect(broken.stderr).toContain('banksman lock go');

    await w.write({ 'banksman.yaml': 'name: test\nconfig: { go: { cgo_enabled: true } }\n' });
    await w.must('build', '//app');
    expect(said()).toBe('4 42 embedded 3 1\n');
  });

  it('are named by a fork, patched and stripped; what moves in another module is not compiled anew', async () => {
    const { top, modules } = madeModules();
    const build = (version: string) => `
go_mod_download(name = "fork", module = "${top}/base", version = "${version}")
go_repo(module = "official.example/base", download = ":fork", strip = ["cmd", "broken"], patch = "three.patch")
`;
    const patch =
      '--- a/base.go\n+++ b/base.go\n@@ -1,3 +1,3 @@\n package base\n \n-func Twice(x int) int { return x + x }\n+func Twice(x int) int { return 3 * x }\n';
    const w = await repository(
      {
        'go/BUILD': build('v1.0.0'),
        'go/three.patch': patch,
        'app/BUILD': 'go_binary(name = "app", srcs = ["main.go"], deps = ["///go/official.example_base//:base"])',
        'app/main.go':
          'package main\n\nimport (\n\t"fmt"\n\n\t"official.example/base"\n)\n\nfunc main() { fmt.Println(base.Twice(2)) }\n',
      },
      modules,
    );
    await w.must('lock', 'go');
    await w.must('build', '//app');
    expect(execFileSync(join(w.root, 'banksman-out/bin/app/app'), { encoding: 'utf8' })).toBe('6\n');
    expect(await w.must('query', 'targets', '//go:all')).not.toContain('cmd');
  });

  it('come as one target from go_module, whose deps are told', async () => {
    const { top, modules } = madeModules();
    const w = await repository(
      {
        'go/BUILD': `
package(default_visibility = ["PUBLIC"])
go_module(name = "base", module = "${top}/base", version = "v1.0.0", install = ["sum", "words", "loop", "native", "."])
go_module(name = "user", module = "${top}/user/v2", version = "v2.3.0", deps = [":base"])
go_module(name = "say", module = "${top}/base", version = "v1.0.0", install = ["cmd/say"], binary = True)
go_module(name = "absent", module = "${top}/base", version = "v9.9.9")
`,
        'app/BUILD': 'go_binary(name = "app", srcs = ["main.go"], deps = ["//go:base", "//go:user"])',
        'app/main.go': main(top),
      },
      modules,
    );
    await w.must('build', '//app', '//go:say');
    expect(execFileSync(join(w.root, 'banksman-out/bin/app/app'), { encoding: 'utf8' })).toBe('4 42 embedded 3 -1\n');
    expect(execFileSync(join(w.root, 'banksman-out/bin/go/say'), { encoding: 'utf8' })).toBe('42\n');
    const absent = await w.run('build', '//go:absent');
    expect(absent.stderr).toContain(`there is no ${top}/base@v9.9.9`);
  });
});

it('a stamped program knows its commit', { timeout: patience }, async () => {
  const w = await repository({
    '.gitignore': 'banksman-out\n',
    'app/BUILD': `go_binary(name = "app", srcs = ["main.go"], stamp = True,
          definitions = {"main.commit": "v$SCM_REVISION\${SCM_NOTHING}"})`,
    'app/main.go': 'package main\n\nvar commit string\n\nfunc main() { println(commit) }\n',
  });
  w.commit();
  await w.must('build', '//app');
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: w.root, encoding: 'utf8' }).trim();
  const { stderr } = spawnSync(join(w.root, 'banksman-out/bin/app/app'), { encoding: 'utf8' });
  expect(stderr).toBe(`v${commit}\${SCM_NOTHING}\n`);
});
