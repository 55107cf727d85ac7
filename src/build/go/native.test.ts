import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { ruleFilesForTests } from '../testing/rules.ts';
import { makeWorkspace, type TestWorkspace } from '../testing/workspace.ts';

const patience = 300_000;

const workspaces: TestWorkspace[] = [];
async function workspace(files: Readonly<Record<string, string>>, folder?: string): Promise<TestWorkspace> {
  const made = await makeWorkspace(files, { rules: ruleFilesForTests(), ...(folder !== undefined && { folder }) });
  workspaces.push(made);
  return made;
}
afterEach(async () => {
  for (const each of workspaces.splice(0)) await each.remove();
});

const files = {
  'native/BUILD': `
cgo_library(
    name = "native",
    srcs = ["native.go"],
    go_srcs = ["pure.go"],
    c_srcs = ["add.c"],
    hdrs = ["add.h"],
    compiler_flags = ["-DEXTRA=2"],
    linker_flags = ["-lm"],
    deps = ["//native/base"],
    visibility = ["PUBLIC"],
)
cgo_test(name = "native_test", srcs = ["native_test.go"], deps = [":native"])
cgo_binary(name = "whole", srcs = ["whole.go"], c_srcs = ["more.cc"], hdrs = ["more.h"], out = "whole.bin")
`,
  'native/add.h': 'int add(int a, int b);\n',
  'native/add.c': '#include "add.h"\n\nint add(int a, int b) { return a + b + EXTRA; }\n',
  'native/native.go': `package native

// #cgo CFLAGS: -DFROM_DIRECTIVE=5
// #include <math.h>
// #include "add.h"
// static int directive() { return FROM_DIRECTIVE; }
import "C"

import "native/base"

func Sum() int { return int(C.add(20, 20)) + base.Zero + int(C.pow(2, 3)) - 8 + int(C.directive()) - 5 }
`,
  'native/pure.go': 'package native\n\nfunc hidden() int { return Sum() }\n',
  'native/native_test.go':
    'package native\n\nimport "testing"\n\nfunc TestHidden(t *testing.T) {\n\tif hidden() != 42 {\n\t\tt.Fatal(hidden())\n\t}\n}\n',
  'native/more.h': '#ifdef __cplusplus\nextern "C"\n#endif\nint more();\n',
  'native/more.cc': '#include "more.h"\n#include <string>\n\nint more() { return std::string("seven!!").size(); }\n',
  'native/whole.go':
    'package main\n\n// #include "more.h"\nimport "C"\nimport "fmt"\n\nfunc main() { fmt.Println(C.more()) }\n',
  'native/base/BUILD': 'go_library(name = "base", srcs = ["base.go"], visibility = ["PUBLIC"])',
  'native/base/base.go': 'package base\n\nconst Zero = 0\n',
  'app/BUILD': `
go_binary(name = "app", srcs = ["main.go"], deps = ["//native"])
go_binary(name = "fixed", srcs = ["main.go"], deps = ["//native"], static = True)
go_library(name = "assembly", srcs = ["assembly.go"], asm_srcs = ["twice_amd64.s", "twice_arm64.s"], hdrs = ["own.h"], import_path = "assembly")
go_test(name = "assembly_test", srcs = ["assembly_test.go"], deps = [":assembly"], import_path = "assembly")
go_benchmark(name = "bench", srcs = ["assembly_test.go"], deps = [":assembly"], import_path = "assembly")
go_library(name = "wrong", srcs = ["wrong.go"])
`,
  'app/main.go': 'package main\n\nimport (\n\t"fmt"\n\t"native"\n)\n\nfunc main() { fmt.Println(native.Sum()) }\n',
  'app/assembly.go': 'package assembly\n\nfunc twice(x int64) int64\n',
  'app/own.h': '#define RESULT 8\n',
  'app/twice_amd64.s':
    '#include "textflag.h"\n#include "own.h"\n\nTEXT ·twice(SB),NOSPLIT,$0-16\n\tMOVQ x+0(FP), AX\n\tADDQ AX, AX\n\tMOVQ AX, ret+RESULT(FP)\n\tRET\n',
  'app/twice_arm64.s':
    '#include "textflag.h"\n#include "own.h"\n\nTEXT ·twice(SB),NOSPLIT,$0-16\n\tMOVD x+0(FP), R0\n\tADD R0, R0, R0\n\tMOVD R0, ret+RESULT(FP)\n\tRET\n',
  'app/assembly_test.go':
    'package assembly\n\nimport "testing"\n\nfunc TestTwice(t *testing.T) {\n\tif twice(4) != 8 {\n\t\tt.Fail()\n\t}\n}\n\nfunc BenchmarkTwice(b *testing.B) {\n\tfor b.Loop() {\n\t\ttwice(4)\n\t}\n}\n',
  'app/wrong.go': 'package wrong\n\nimport "C"\n',
};

describe('Go with C', { timeout: patience }, () => {
  it('is compiled, tested and linked', async () => {
    const w = await workspace(files);
    const run = async (label: '//app:app' | '//app:fixed' | '//native:whole') => {
      const built = await w.build(label);
      return execFileSync(built.files[0]!.absolute, { encoding: 'utf8' });
    };
    expect(await run('//app:app')).toBe('42\n');
    expect(await run('//native:whole')).toBe('7\n');
    expect(await run('//app:fixed')).toBe('42\n');
    const fixed = (await w.build('//app:fixed')).files[0]!.absolute;
    expect(execFileSync('readelf', ['-d', fixed], { encoding: 'utf8' })).toContain('no dynamic section');
    const tested = (await (await w.builder()).test(['//native:native_test'])).tests.get('//native:native_test')!;
    expect([tested.status, tested.output]).toEqual(['passed', expect.any(String)]);
  });

  it('is the same bytes wherever it is built', async () => {
    const sums: string[] = [];
    for (const folder of ['one', 'another/deeper']) {
      const w = await workspace(files, folder);
      const { files: built } = await w.build('//app:app');
      const bytes = await readFile(built[0]!.absolute);
      expect(bytes.includes(w.root)).toBe(false);
      expect(bytes.includes(w.cache)).toBe(false);
      sums.push(built[0]!.sha256);
    }
    expect(sums[0]).toBe(sums[1]);
  });

  it('is compiled anew with another compiler, and what is Go alone is not', async () => {
    const w = await workspace({
      ...files,
      'banksman.yaml': 'name: test\nconfig: { go: { cc_tool: cc-of-the-test } }\n',
    });
    const tools = join(w.root, '../tools');
    await mkdir(tools);
    const write = async (version: string) => {
      // Beside the old one: programs are known by their path.
      const folder = join(tools, version);
      await mkdir(folder);
      await writeFile(join(folder, 'cc-of-the-test'), `#!/bin/sh\n# ${version}\nexec cc "$@"\n`);
      await chmod(join(folder, 'cc-of-the-test'), 0o755);
      process.env.PATH = `${folder}:${before}`;
    };
    const before = process.env.PATH;
    onTestFinished(() => {
      process.env.PATH = before;
    });
    await write('1');
    expect(Object.keys((await w.build('//app:app')).ran).sort()).toEqual([
      '//app:app',
      '//native/base:base',
      '//native:native',
    ]);
    expect(Object.keys((await w.build('//app:app')).ran)).toEqual([]);
    await write('2');
    expect(Object.keys((await w.build('//app:app')).ran).sort()).toEqual(['//app:app', '//native:native']);
  });

  it("shows the C compiler's words, and says which rule is for it", async () => {
    const w = await workspace({
      ...files,
      'native/add.c': '#include "add.h"\n\nint add(int a, int b) { return c; }\n',
    });
    const faultOf = (label: '//native:native' | '//app:wrong') =>
      w.build(label).then(
        () => undefined,
        (error: { message: string; next: string; notes: string[] }) => error,
      );
    expect((await faultOf('//native:native'))?.notes.join('\n')).toMatch(/native\/add\.c:3:\d+: error: .*undeclared/);
    expect((await faultOf('//app:wrong'))?.next).toContain('use cgo_library');
  });
});

describe("Go's assembler", { timeout: patience }, () => {
  it('compiles what tests and benchmarks then run', async () => {
    const w = await workspace(files);
    const tested = (await (await w.builder()).test(['//app:assembly_test'])).tests.get('//app:assembly_test')!;
    expect(tested.cases.map(({ name, status }) => `${name} ${status}`)).toEqual(['TestTwice passed']);
    const { files: built } = await w.build('//app:bench');
    const out = execFileSync(built[0]!.absolute, ['-test.benchtime=10x'], { encoding: 'utf8' });
    expect(out).toContain('BenchmarkTwice');
    expect(out).not.toContain('TestTwice');
  });
});
