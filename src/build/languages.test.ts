import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Label } from '../graph/index.ts';
import type { BuildFault } from './fault.ts';
import { ruleFilesForTests } from './testing/rules.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';
import { readZip } from './zip/read.ts';

// Real compilers, and the standard library of Go compiled the first time that anything on this machine needs it.
const patience = 300_000;

const rules = ruleFilesForTests();

const workspaces: TestWorkspace[] = [];
async function workspace(files: Record<string, string>, folder?: string): Promise<TestWorkspace> {
  const made = await makeWorkspace(files, { rules, ...(folder !== undefined && { folder }) });
  workspaces.push(made);
  return made;
}
afterEach(async () => {
  for (const each of workspaces.splice(0)) await each.remove();
});

async function faultOf(w: TestWorkspace, label: Label): Promise<BuildFault> {
  return w.build(label).then(
    () => {
      throw new Error('it did not fail');
    },
    (error: BuildFault) => error,
  );
}

async function test(w: TestWorkspace, label: Label) {
  return (await (await w.builder()).test([label])).tests.get(label)!;
}

/** Bytes of an output built in two workspaces of other names and at other times. */
async function builtTwice(files: Record<string, string>, label: Label): Promise<[string, string]> {
  const sums: string[] = [];
  for (const folder of ['one', 'another/deeper']) {
    const w = await workspace(files, folder);
    const { files: built } = await w.build(label);
    sums.push(built.map(({ sha256 }) => sha256).join());
  }
  return [sums[0]!, sums[1]!];
}

const goFiles = {
  'app/BUILD': `
go_library(
    name = "greet",
    srcs = glob(["*.go"], exclude = ["*_test.go", "main.go"]),
    embedsrcs = ["words/a.txt", "words/.hidden"],
    deps = ["//app/base"],
    visibility = ["PUBLIC"],
)
go_binary(name = "app", srcs = ["main.go"], deps = [":greet"], definitions = {"main.version": "v1.2"})
go_test(name = "greet_test", srcs = glob(["*_test.go"]), deps = [":greet", "//app/user"], data = ["data.txt"])
`,
  'app/base/BUILD': 'go_library(name = "base", srcs = ["base.go"], visibility = ["PUBLIC"])',
  'app/base/base.go': 'package base\n\nfunc Suffix() string { return "!" }\n',
  'app/user/BUILD': 'go_library(name = "user", srcs = ["user.go"], deps = ["//app:greet"], visibility = ["PUBLIC"])',
  'app/user/user.go': 'package user\n\nimport "app"\n\nfunc Use() string { return app.Hello("user") }\n',
  'app/greet.go': `package app

import (
	"app/base"
	"embed"
	"strings"
)

//go:embed words
var words embed.FS

func Hello(name string) string {
	word, _ := words.ReadFile("words/a.txt")
	return strings.TrimSpace(string(word)) + " " + name + base.Suffix()
}

func secret() int { return 41 }
`,
  'app/greet_windows.go': 'package app\n\nfunc secret() int { return 0 }\n',
  'app/words/a.txt': 'hello\n',
  'app/words/.hidden': 'no',
  'app/data.txt': 'data',
  'app/main.go':
    'package main\n\nimport (\n\t"app"\n\t"fmt"\n)\n\nvar version = "none"\n\nfunc main() { fmt.Println(app.Hello(version)) }\n',
  'app/internal_test.go': `package app

import (
	"os"
	"testing"
)

var ready bool

func TestMain(m *testing.M) {
	ready = true
	os.Exit(m.Run())
}

func TestSecret(t *testing.T) {
	if !ready || secret() != 41 {
		t.Fatal(secret())
	}
	if text, err := os.ReadFile("data.txt"); err != nil || string(text) != "data" {
		t.Fatal(err)
	}
}
`,
  'app/external_test.go': `package app_test

import (
	"app/user"
	"fmt"
	"testing"
)

func TestUse(t *testing.T) {
	t.Run("sub", func(t *testing.T) {
		if got := user.Use(); got != "hello user!" {
			t.Errorf("got %q", got)
		}
	})
}

func ExampleUse() {
	fmt.Println(user.Use())
	// Output: hello user!
}
`,
};

describe('Go', { timeout: patience }, () => {
  it('compiles packages one by one and links a static program', async () => {
    const w = await workspace(goFiles);
    const { files, ran } = await w.build('//app:app');
    expect(execFileSync(files[0]!.absolute, { encoding: 'utf8' })).toBe('hello v1.2!\n');
    expect(Object.keys(ran).sort()).toEqual(['//app/base:base', '//app:app', '//app:greet']);
    const bytes = await readFile(files[0]!.absolute);
    expect(bytes.includes(w.root)).toBe(false);
    expect(bytes.includes(w.cache)).toBe(false);
    await w.write({ 'app/main.go': goFiles['app/main.go'].replace('Println', 'Print') });
    expect(Object.keys((await w.build('//app:app')).ran)).toEqual(['//app:app']);
  });

  it('makes the same bytes wherever it is built', async () => {
    const [one, other] = await builtTwice(goFiles, '//app:app');
    expect(one).toBe(other);
  });

  it("tests a program's package", async () => {
    const w = await workspace({
      'app/BUILD':
        'go_binary(name = "app", srcs = ["main.go"])\ngo_test(name = "test", srcs = ["main_test.go"], deps = [":app"], definitions = {"app.version": "7"})',
      'app/main.go': 'package main\n\nvar version = "none"\n\nfunc secret() int { return 1 }\n\nfunc main() {}\n',
      'app/main_test.go':
        'package main\n\nimport "testing"\n\nfunc TestSecret(t *testing.T) {\n\tif secret() != 1 || version != "7" {\n\t\tt.Fatal(version)\n\t}\n}\n',
    });
    expect((await test(w, '//app:test')).status).toBe('passed');
  });

  it('runs tests inside and outside of the package, and examples', async () => {
    const w = await workspace(goFiles);
    const tested = await test(w, '//app:greet_test');
    expect(tested.fault).toBeUndefined();
    expect(tested.cases.map(({ name, status }) => `${name} ${status}`).sort()).toEqual([
      'ExampleUse passed',
      'TestSecret passed',
      'TestUse passed',
      'TestUse/sub passed',
    ]);
    await w.write({ 'app/words/a.txt': 'bye\n' });
    const failed = await test(w, '//app:greet_test');
    expect(failed.status).toBe('failed');
    expect(failed.fault?.notes.join('\n')).toContain('got "bye user!"');
  });

  it('compiles with the Go that CONFIG.GO.GO_TOOL names, in place of the one on the PATH', async () => {
    // A copy of the installed one with a word of its own in the standard library, of which it has no more than is needed here.
    const copy = `
set -e
export HOME=$TMP_DIR GOENV=off GO111MODULE=off
from=$($TOOL env GOROOT); tools=pkg/tool/$($TOOL env GOOS)_$ARCH
mkdir -p $OUT/bin $OUT/$tools $OUT/src/runtime/cgo
cp $from/bin/go $OUT/bin; cp $from/VERSION $from/go.env $OUT; cp -R $from/pkg/include $OUT/pkg
for each in compile link asm cgo; do cp $from/$tools/$each $OUT/$tools; done
for each in $($TOOL list -deps -f '{{.Dir}}' encoding/json flag go/build go/doc go/parser); do
  to=$OUT/src/$(realpath --relative-to $from/src $each); mkdir -p $to
  find $each -maxdepth 1 -type f ! -name '*_test.go' -exec cp -t $to {} +
done
cp $from/src/runtime/cgo/*.h $OUT/src/runtime/cgo; cp $from/src/go.mod $OUT/src; chmod -R u+w $OUT
echo 'const Word = "declared"' >> $OUT/src/unicode/utf8/utf8.go
`;
    const files = {
      'banksman.yaml': 'name: test\nconfig: { go: { go_tool: "//go:toolchain|go" } }\n',
      'go/BUILD': `
genrule(name = "toolchain", srcs = ["copy.sh"], tools = ["go"], outs = ["toolchain"], entry_points = {"go": "toolchain/bin/go"},
        binary = True, visibility = ["PUBLIC"], cmd = "bash $SRC")
`,
      'go/copy.sh': copy,
      'app/BUILD': 'go_binary(name = "app", srcs = ["main.go"])',
      'app/main.go': 'package main\n\nimport (\n\t"fmt"\n\t"unicode/utf8"\n)\n\nfunc main() { fmt.Print(utf8.Word) }\n',
    };
    const w = await workspace(files);
    const { files: built, ran } = await w.build('//app:app');
    expect(execFileSync(built[0]!.absolute, { encoding: 'utf8' })).toBe('declared');
    expect(Object.keys(ran).sort()).toEqual(['//app:app', '//go:toolchain']);
    await w.write({ 'banksman.yaml': 'name: test\n' });
    expect((await faultOf(w, '//app:app')).notes.join()).toContain('undefined: utf8.Word');
    await w.write({
      'banksman.yaml': files['banksman.yaml'],
      'go/BUILD':
        'genrule(name = "toolchain", outs = ["go"], binary = True, cmd = "touch $OUT", visibility = ["PUBLIC"])',
    });
    expect(await faultOf(w, '//app:app')).toMatchObject({ code: 'graph/missing-target' });
    await w.write({ 'banksman.yaml': files['banksman.yaml'].replace('|go', '') });
    expect(await faultOf(w, '//app:app')).toMatchObject({
      code: 'build/bad-config',
      message: '//go:toolchain, which CONFIG.GO.GO_TOOL names, is no Go',
    });
  });

  it('says which import is missing, where, and what to add', async () => {
    const w = await workspace({ ...goFiles, 'app/BUILD': goFiles['app/BUILD'].replace('deps = ["//app/base"],', '') });
    const fault = await faultOf(w, '//app:app');
    expect([fault.code, fault.message]).toEqual([
      'build/import-not-found',
      '//app:greet imports app/base, which is not among its deps',
    ]);
    expect(fault.place).toMatchObject({ file: 'app/greet.go', line: 4 });
    expect(fault.next).toContain('add the go_library of app/base');
  });

  it("shows the compiler's words with paths of the workspace", async () => {
    const w = await workspace({
      ...goFiles,
      'app/base/base.go': 'package base\n\nfunc Suffix() string { return 1 }\n',
    });
    const fault = await faultOf(w, '//app/base:base');
    expect(fault.code).toBe('build/action-failed');
    expect(fault.notes.join()).toMatch(/^(\.\/)?app\/base\/base\.go:3:31: cannot use 1/);
    await w.write({ 'app/base/base.go': 'package base\n\nimport "fmt\n' });
    expect((await faultOf(w, '//app/base:base')).place).toMatchObject({ file: 'app/base/base.go', line: 3 });
  });
});

const javaFiles = {
  'banksman.yaml': 'name: test\n',
  'app/BUILD': `
java_library(name = "lib", srcs = ["Greeting.java"], resources = ["greeting.txt", "src/main/resources/META-INF/services/java.lang.Runnable"])
java_library(name = "more", srcs = ["src/main/java/Other.java"], resources = ["src/test/resources/META-INF/services/java.lang.Runnable"])
java_binary(name = "app", main_class = "app.Main", srcs = ["Main.java"], deps = [":lib", ":more"])
java_binary(name = "bad", main_class = "app.Absent", srcs = ["Main.java"], deps = [":lib"])
`,
  'app/Greeting.java':
    'package app;\npublic class Greeting {\n  public static String text() throws Exception {\n    try (var in = Greeting.class.getResourceAsStream("greeting.txt")) { return new String(in.readAllBytes()).trim(); }\n  }\n}\n',
  'app/greeting.txt': 'hello from a resource\n',
  'app/src/main/resources/META-INF/services/java.lang.Runnable': 'app.One\n',
  'app/src/main/java/Other.java': 'package app.other;\npublic class Other { public record Pair(int a, int b) {} }\n',
  'app/src/test/resources/META-INF/services/java.lang.Runnable': 'app.Two\n',
  'app/Main.java':
    'package app;\npublic class Main { public static void main(String[] a) throws Exception { System.out.println(Greeting.text() + " " + new app.other.Other.Pair(1, 2)); } }\n',
};

describe('Java', { timeout: patience }, () => {
  it('makes one jar that runs', async () => {
    const w = await workspace(javaFiles);
    const { files } = await w.build('//app:app');
    const run = () => execFileSync('java', ['-jar', files[0]!.absolute], { encoding: 'utf8' });
    expect(run()).toBe('hello from a resource Pair[a=1, b=2]\n');
    const entries = await readZip(files[0]!.absolute, 'app.jar');
    expect(entries[0]?.name).toBe('META-INF/MANIFEST.MF');
    expect(entries.map(({ name }) => name)).toContain('app/other/Other$Pair.class');
    const services = entries.find(({ name }) => name === 'META-INF/services/java.lang.Runnable');
    expect(Buffer.from(services?.data ?? []).toString()).toBe('app.One\napp.Two\n');
  });

  it('makes the same bytes wherever it is built', async () => {
    const [one, other] = await builtTwice(javaFiles, '//app:app');
    expect(one).toBe(other);
  });

  it('does not compile again what depends on a class that came out the same', async () => {
    const w = await workspace(javaFiles);
    await w.build('//app:app');
    // Line numbers are in the class; a comment behind the last line changes nothing.
    await w.write({ 'app/Greeting.java': `${javaFiles['app/Greeting.java']}// a comment\n` });
    expect(Object.keys((await w.build('//app:app')).ran)).toEqual(['//app:lib']);
  });

  it("shows the compiler's words with paths of the workspace, and names a main class that is not there", async () => {
    const w = await workspace({ ...javaFiles, 'app/Greeting.java': 'package app; class Greeting { int x = "s"; }' });
    const fault = await faultOf(w, '//app:lib');
    expect(fault.notes.join()).toMatch(/^app\/Greeting\.java:1: error: incompatible types/);
    await w.write(javaFiles);
    const missing = await faultOf(w, '//app:bad');
    expect([missing.code, missing.message]).toEqual(['build/action-failed', expect.any(String)]);
    await w.write({ 'app/Main.java': 'package app; class Main {}' });
    expect((await faultOf(w, '//app:bad')).message).toBe('//app:bad has no class app.Absent');
  });
});

const pythonFiles = {
  'app/BUILD': `
python_library(name = "lib", srcs = ["greeting.py"], resources = ["words.txt"], deps = ["//app/deep"])
python_binary(name = "app", main = "main.py", deps = [":lib"])
python_test(name = "lib_test", srcs = ["lib_test.py"], deps = [":lib"])
python_test(name = "empty_test", srcs = ["empty_test.py"])
`,
  'app/deep/BUILD': 'python_library(name = "deep", srcs = ["deep.py"], visibility = ["PUBLIC"])',
  'app/deep/deep.py': 'MARK = "!"\n',
  'app/words.txt': 'hello',
  'app/greeting.py':
    "from importlib import resources\nfrom app.deep import deep\n\ndef hello(name):\n    return f\"{resources.files('app').joinpath('words.txt').read_text()} {name}{deep.MARK}\"\n",
  'app/main.py':
    'import sys\nfrom app import greeting\n\nif __name__ == "__main__":\n    print(greeting.hello(sys.argv[1]))\n',
  'app/lib_test.py': `import unittest
from app import greeting

class Greeting(unittest.TestCase):
    def test_hello(self):
        self.assertEqual(greeting.hello("x"), "hello x!")

    @unittest.skip("not now")
    def test_skipped(self):
        pass
`,
  'app/empty_test.py': '',
};

describe('Python', { timeout: patience }, () => {
  it('makes one file that runs', async () => {
    const w = await workspace(pythonFiles);
    const { files } = await w.build('//app:app');
    expect(execFileSync(files[0]!.absolute, ['you'], { encoding: 'utf8' })).toBe('hello you!\n');
    expect(execFileSync('python3', ['-I', files[0]!.absolute, 'me'], { encoding: 'utf8' })).toBe('hello me!\n');
  });

  it('makes the same bytes wherever it is built', async () => {
    const [one, other] = await builtTwice(pythonFiles, '//app:app');
    expect(one).toBe(other);
  });

  it('runs unittest tests with a report, and fails where there are none', async () => {
    const w = await workspace(pythonFiles);
    const tested = await test(w, '//app:lib_test');
    expect(tested.cases.map(({ name, suite, status }) => [name, suite, status])).toEqual([
      ['test_hello', 'app.lib_test.Greeting', 'passed'],
      ['test_skipped', 'app.lib_test.Greeting', 'skipped'],
    ]);
    await w.write({ 'app/deep/deep.py': 'MARK = "?"\n' });
    const failed = await test(w, '//app:lib_test');
    expect(failed.fault?.notes.join()).toContain("AssertionError: 'hello x?' != 'hello x!'");
    expect((await test(w, '//app:empty_test')).output).toContain('no test found');
  });
});

describe('shell', () => {
  it('has programs, tests, groups and texts', async () => {
    const w = await workspace({
      BUILD: `
text_file(name = "text", content = "some text\\n", out = "t.txt")
filegroup(name = "group", srcs = ["a.sh", ":text"])
sh_binary(name = "bin", main = "a.sh", data = [":text"])
genrule(name = "gen", srcs = [":group"], out = "gen.txt", tools = [":bin"], cmd = ["$TOOL > $OUT", "echo $SRCS >> $OUT"])
sh_test(name = "check", src = "check.sh", args = ["some"], data = [":gen"])
gentest(name = "other", test_cmd = "grep -q other gen.txt", data = [":gen"], no_test_output = True)
export_file(name = "exported", src = "a.sh")
`,
      'a.sh': '#!/bin/sh\ncat "$(dirname "$0")/t.txt"\n',
      'check.sh': '#!/bin/sh\ngrep -q "$1" gen.txt\n',
    });
    const { files } = await w.build('//:gen');
    expect(await readFile(files[0]!.absolute, 'utf8')).toBe('some text\na.sh t.txt\n');
    expect((await test(w, '//:check')).status).toBe('passed');
    expect((await test(w, '//:other')).status).toBe('failed');
    const { files: bin } = await w.build('//:bin');
    expect(bin[0]!.absolute).toContain('/bin/bin.sh');
  });
});
