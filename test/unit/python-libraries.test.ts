import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { stored, writeZip } from '../../src/build/zip/write.ts';
import { banksman, type Outcome } from '../e2e/workspace.ts';

const patience = 300_000;

const removals: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of removals.splice(0)) await remove();
});

type Files = Readonly<Record<string, string>>;

interface Repository {
  readonly root: string;
  run(...args: string[]): Promise<Outcome>;
  /** Fails the test where the command fails. */
  must(...args: string[]): Promise<string>;
  write(files: Files): Promise<void>;
}

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-python-'));
  removals.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function repository(files: Files): Promise<Repository> {
  const root = await temporary();
  const made: Repository = {
    root,
    run: (...args) => banksman(root, args),
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
  };
  await made.write({ 'banksman.yaml': 'name: test\n', ...files });
  return made;
}

describe('libraries that pip brings', { timeout: patience }, () => {
  it('are locked, checked and imported, those in C too; pytest runs tests', async () => {
    const w = await repository({
      'third_party/python/BUILD': `
package(default_visibility = ["PUBLIC"])
pip_library(name = "markupsafe", package_name = "MarkupSafe", version = "2.1.5")
pip_library(name = "jinja2", package_name = "Jinja2", version = "3.1.4", deps = [":markupsafe"])
pip_library(name = "pluggy", version = "1.5.0")
pip_library(name = "iniconfig", version = "2.0.0")
pip_library(name = "packaging", version = "24.1")
pip_library(name = "pytest", version = "8.2.2", deps = [":pluggy", ":iniconfig", ":packaging"])
`,
      'app/BUILD': `
python_library(name = "lib", srcs = ["words.py"], deps = ["//third_party/python:jinja2"])
python_binary(name = "app", main = "main.py", deps = [":lib"])
python_test(name = "test", srcs = ["conftest.py", "words_test.py"], deps = [":lib", "//third_party/python:pytest"], test_runner = "pytest")
python_test(name = "of_binary", srcs = ["main_test.py"], deps = [":app"])
python_test(name = "without", srcs = ["words_test.py"], deps = [":lib"], test_runner = "pytest")
`,
      'app/words.py':
        'import jinja2\n\ndef hello(name):\n    return jinja2.Template("hello {{ name }}").render(name=name)\n',
      'app/main.py':
        'import sys\n\nimport markupsafe._speedups\n\nfrom app import words\n\nif __name__ == "__main__":\n    print(words.hello(sys.argv[1]))\n',
      'app/conftest.py': 'import pytest\n\n@pytest.fixture\ndef name():\n    return "ada"\n',
      'app/words_test.py':
        'from app import words\n\ndef test_hello(name):\n    assert words.hello(name) == "hello ada"\n\ndef test_wrong():\n    assert words.hello("x") == "y"\n',
      'app/main_test.py':
        'import unittest\n\nfrom app import main\n\nclass Main(unittest.TestCase):\n    def test_words(self):\n        self.assertEqual(main.words.hello("b"), "hello b")\n',
    });
    const unlocked = await w.run('build', '//app');
    expect(unlocked.stderr).toContain('error[build/unlocked]');
    expect(unlocked.stderr).toContain('run banksman lock python');

    expect(await w.must('lock', 'python')).toContain('6 libraries, 6 changed');
    const path = join(w.root, 'third_party/python/python.lock.json');
    const lock = await readFile(path, 'utf8');
    expect(JSON.parse(lock)).toMatchObject({
      libraries: {
        iniconfig: {
          version: '2.0.0',
          wheels: {
            'iniconfig-2.0.0-py3-none-any.whl': 'b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374',
          },
        },
      },
    });
    await w.must('build', '//app');
    const program = join(w.root, 'banksman-out/bin/app/app.pyz');
    const home = await temporary();
    const run = () => execFileSync(program, ['you'], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: home } });
    expect([run(), run()]).toEqual(['hello you\n', 'hello you\n']);

    // The lock of a library may have wheels for other machines: the bill of an image has the one that is in it.
    const locked = JSON.parse(lock) as { libraries: { MarkupSafe: { wheels: Record<string, string> } } };
    const { wheels } = locked.libraries.MarkupSafe;
    const [own] = Object.values(wheels);
    wheels['MarkupSafe-2.1.5-cp310-cp310-win_amd64.whl'] = '0'.repeat(64);
    await w.write({
      'third_party/python/python.lock.json': JSON.stringify(locked),
      'image/BUILD': 'docker_image(name = "image", files = {"/app.pyz": "//app"}, default_packages = False)\n',
      'app/BUILD': `package(default_visibility = ["PUBLIC"])\n${await readFile(join(w.root, 'app/BUILD'), 'utf8')}`,
    });
    execFileSync('git', ['init', '--quiet', w.root]);
    const bill = JSON.parse(await w.must('image', 'sbom', '//image')) as { components: { purl?: string }[] };
    expect(bill.components.find(({ purl }) => purl === 'pkg:pypi/markupsafe@2.1.5')).toMatchObject({
      hashes: [{ alg: 'SHA-256', content: own }],
      licenses: [{ license: { id: 'BSD-3-Clause' } }],
    });
    await w.write({ 'third_party/python/python.lock.json': lock });

    const tested = await w.run('test', '//app:test', '//app:of_binary', '--keep-going');
    expect(tested.stdout).toContain('//app:of_binary');
    expect(tested.stdout + tested.stderr).toContain('test_wrong');
    const report = await readFile(join(w.root, 'banksman-out/test/app/test.xml'), 'utf8');
    expect(report).toMatch(/testcase[^>]*name="test_hello"/);
    expect(report).toContain("assert 'hello x' == 'y'");
    const without = await w.run('test', '//app:without');
    expect(without.stdout + without.stderr).toContain('there is no pytest among the deps of this test');

    await w.write({ 'third_party/python/python.lock.json': lock.replace(/("iniconfig-2[^"]+": ")b6a8/, '$10000') });
    const wrong = await w.run('test', '//app:test');
    expect(wrong.stderr).toContain('error[build/hash-mismatch]: the wheel of iniconfig 2.0.0 has another sum');
  });
});

/** A wheel in a folder; its name and its sum. */
async function wheel(
  folder: string,
  name: string,
  files: Files,
): Promise<{ readonly file: string; readonly sha256: string }> {
  const file = `${name}-1.0-py3-none-any.whl`;
  const info = `${name}-1.0.dist-info`;
  const all = {
    ...files,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`,
    [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    [`${info}/RECORD`]: '',
  };
  await writeZip(
    join(folder, file),
    Object.entries(all).map(([path, text]) => stored(path, Buffer.from(text))),
  );
  return {
    file,
    sha256: createHash('sha256')
      .update(await readFile(join(folder, file)))
      .digest('hex'),
  };
}

describe('wheels', { timeout: patience }, () => {
  it('come from an address, are patched and stripped, and give programs', async () => {
    const folder = await temporary();
    const { file, sha256 } = await wheel(folder, 'made', {
      'made/__init__.py': 'WORD = "made"\n',
      'made/__main__.py': 'import made\n\ndef main():\n    print(made.WORD)\n',
      'made/more.py': 'def shout():\n    import made\n\n    print(made.WORD.upper())\n',
      'made/tests/test_made.py': 'raise SystemExit\n',
      'made-1.0.data/purelib/beside.py': '',
      'made-1.0.data/scripts/said': '',
    });
    const bytes = await readFile(join(folder, file));
    const server = createServer((request, response) => {
      if (request.url === '/made-1.0.whl') response.end(bytes);
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    onTestFinished(() => void server.close());
    const repo = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const w = await repository({
      BUILD: `
python_wheel(name = "made", version = "1.0", repo = "${repo}", hashes = ["${sha256}"], patch = "word.patch", post_install_commands = ["test -f beside.py && echo 'X = 1' > added.py"])
python_wheel(name = "run", package_name = "made", version = "1.0", repo = "${repo}", hashes = ["${sha256}"], binary = True)
python_wheel(name = "several", package_name = "made", version = "1.0", repo = "${repo}", hashes = ["${sha256}"], entry_points = {"say": "made.__main__:main", "shout": "made.more:shout"})
python_multiversion_wheel(name = "joined", version = "1.0", urls = ["${repo}/made-1.0.whl"], hashes = ["${sha256}"])
python_wheel(name = "wrong", version = "1.0", package_name = "made", repo = "${repo}", hashes = ["${'0'.repeat(64)}"])
genrule(name = "said", tools = {"say": [":several|say"], "shout": [":several|shout"], "run": [":run"]}, cmd = "$TOOLS_SAY > $OUT && $TOOLS_SHOUT >> $OUT && $TOOLS_RUN >> $OUT", out = "said.txt")
python_binary(name = "app", main = "main.py", deps = [":made"])
python_binary(name = "bare", main = "bare.py", deps = [":joined"], strip = True, runtime_interpreters = ["python9", "python3"], runtime_interpreter_args = ["-B"])
python_binary(name = "unpacked", main = "bare.py", deps = [":joined"], zip_safe = False)
`,
      'word.patch': '--- made/__init__.py\n+++ made/__init__.py\n@@ -1 +1 @@\n-WORD = "made"\n+WORD = "patched"\n',
      'main.py':
        'import importlib.metadata\n\nimport added, beside, made\n\nprint(made.WORD, added.X, importlib.metadata.version("made"))\n',
      'bare.py':
        'import sys\n\nimport made\n\nprint(made.WORD, made.__file__.endswith(".pyc"), sys.dont_write_bytecode, [p for p in sys.path if "-packages" in p])\n',
    });
    await w.must('build', '//:app', '//:bare', '//:said', '//:unpacked');
    const home = await temporary();
    const out = (name: string) =>
      execFileSync(join(w.root, 'banksman-out/bin', name), {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: home },
      });
    expect(out('app.pyz')).toBe('patched 1 1.0\n');
    expect(out('bare.pyz')).toBe('made True True []\n');
    expect(out('unpacked.pyz')).toBe('made False False []\n');
    expect(await readFile(join(w.root, 'banksman-out/gen/said.txt'), 'utf8')).toBe('made\nMADE\nmade\n');
    expect(execFileSync('unzip', ['-l', join(w.root, 'banksman-out/bin/app.pyz')], { encoding: 'utf8' })).not.toContain(
      'test_made',
    );
    expect((await w.run('build', '//:wrong')).stderr).toContain('error[build/hash-mismatch]');
  });

  it('come from a folder that pip looks into, and no library from sources', async () => {
    const folder = await temporary();
    const { sha256 } = await wheel(folder, 'madehere', { 'madehere.py': 'WORD = "here"\n' });
    await writeFile(join(folder, 'sourced-1.0.tar.gz'), '');
    const w = await repository({
      BUILD: `
pip_library(name = "madehere", version = "1.0", repo = "${folder}", use_pypi = False)
pip_library(name = "given", package_name = "madehere", version = "1.0", repo = "${folder}", use_pypi = False, hashes = ["sha256: ${sha256}"], install_subdirectory = "inside")
python_binary(name = "app", main = "main.py", deps = [":madehere", ":given"])
`,
      'main.py': 'import madehere\nfrom inside import madehere as other\n\nprint(madehere.WORD, other.__name__)\n',
    });
    await w.must('lock', 'python');
    await w.must('build', '//:app');
    expect(execFileSync(join(w.root, 'banksman-out/bin/app.pyz'), { encoding: 'utf8' })).toBe('here inside.madehere\n');
    await w.write({
      BUILD: `pip_library(name = "sourced", version = "1.0", repo = "${folder}", use_pypi = False, hashes = ["${sha256}"])`,
    });
    expect((await w.run('build', '//:sourced')).stderr).toContain('there is no wheel of sourced 1.0 for this machine');
  });
});
