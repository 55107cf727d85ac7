import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, lstat, readdir, readFile, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createTargetHasher, type Label } from '../graph/index.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';

/** Targets whose outputs are of every kind: files, programs, folders with links, sources as they are, texts, tests. */
const files = {
  BUILD: `
[build_rule(name = f"a{i}", srcs = [f"in{i}"], outs = [f"a{i}"], cmd = "for n in 1 2 3; do cat $SRC; done > $OUT") for i in range(8)]
[build_rule(name = f"b{i}", srcs = [f":a{i}"], outs = [f"b{i}"], cmd = "wc -c < $SRC > $OUT") for i in range(8)]
build_rule(name = "program", srcs = [":a0"], outs = ["program"], cmd = "(echo '#!/bin/sh'; echo exit 0; cat $SRC) > $OUT", binary = True)
build_rule(name = "folder", srcs = [":a1", ":a2"], outs = ["folder"], cmd = "mkdir -p $OUT/deep; cp $SRCS $OUT/deep; ln -s deep/a1 $OUT/link; chmod +x $OUT/deep/a2")
build_rule(name = "group", srcs = [":a3", "in4"], _filegroup = True)
build_rule(name = "same", srcs = [":a5"], outs = ["same"], cmd = "echo the same > $OUT")
build_rule(name = "sums", srcs = [":b0", ":b1", ":same", ":folder", ":group"], outs = ["sums"], cmd = "find . -type f ! -name sums | LC_ALL=C sort | xargs sha256sum > $OUT")
build_rule(name = "test", srcs = [":b6"], data = [":b7"], test_cmd = "test -s b7", no_test_output = True, test = True)
`,
  ...Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`in${index}`, `first ${index}\n`])),
};

const made: TestWorkspace[] = [];
afterEach(async () => {
  for (const each of made.splice(0)) await each.remove();
});

async function workspace(): Promise<TestWorkspace> {
  const found = await makeWorkspace(files);
  made.push(found);
  return found;
}

/** A process of its own that builds everything. */
function buildAside(w: TestWorkspace): ChildProcess {
  const script = new URL('./testing/build-once.ts', import.meta.url).pathname;
  return spawn(process.execPath, [script, w.root, w.cache], { stdio: ['ignore', 'ignore', 'pipe'] });
}

async function buildAll(w: TestWorkspace, cacheFolder = w.cache, outputRoot = join(w.root, 'banksman-out')) {
  const graph = await w.graph();
  const hashes = { of: createTargetHasher(graph), contentHash: graph.tree.contentHash };
  const builder = await w.builder({ hashes, cacheFolder, outputRoot });
  const labels = [...graph.targets.keys()];
  const built = await builder.build(labels);
  const tested = await builder.test(['//:test' as Label]);
  return {
    ran: built.ran.map(({ label }) => label),
    tests: [...tested.tests.values()].map(({ status }) => status),
    targets: built.targets.size,
  };
}

/** All outputs below a folder: kinds, modes, contents. */
async function contentsOf(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const walk = async (path: string): Promise<void> => {
    const stat = await lstat(join(folder, path));
    if (stat.isDirectory()) {
      for (const name of await readdir(join(folder, path))) await walk(join(path, name));
    } else if (stat.isSymbolicLink()) {
      const target = await readlink(join(folder, path));
      // Outputs that are links into the cache: what they lead to counts.
      if (target.startsWith('/')) found[path] = (await readFile(join(folder, path))).toString('base64');
      else found[path] = `link ${target}`;
    } else found[path] = `${stat.mode & 0o111 ? 'x' : ''} ${(await readFile(join(folder, path))).toString('base64')}`;
  };
  // Beside them lie logs and reports, which tell how long things took.
  for (const kind of ['gen', 'bin']) await walk(kind);
  return found;
}

/** What a build of everything gives where nothing was ever built. */
async function fromScratch(w: TestWorkspace): Promise<Record<string, string>> {
  const base = join(w.cache, '..', 'scratch-build');
  await rm(base, { recursive: true, force: true });
  await buildAll(w, join(base, 'cache'), join(base, 'out'));
  return contentsOf(join(base, 'out'));
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('a build after kill -9', () => {
  it('is as if nothing had happened, thirty times at any moment', { timeout: 300_000 }, async () => {
    const w = await workspace();
    for (let round = 0; round < 30; round++) {
      // Some of it is new each time, so that there is always something to be killed in.
      const changed = [0, 1, 2].map((step) => (round * 3 + step) % 8);
      await w.write(Object.fromEntries(changed.map((index) => [`in${index}`, `round ${round} ${index}\n`])));
      const child = buildAside(w);
      const before = (await filesBelow(w.cache)).length;
      // Killed by how far it came, wherever the machine's pace puts that: before it begins, at its first files, near its end.
      const enough = before + Math.floor(Math.random() * 24);
      while (child.exitCode === null && (await filesBelow(w.cache)).length < enough) await sleep(2);
      await sleep(Math.random() * 15);
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await buildAll(w);
    expect(await contentsOf(join(w.root, 'banksman-out'))).toEqual(await fromScratch(w));
    expect(await readdir(join(w.cache, 'scratch'))).toEqual([]);
    expect(await readdir(join(w.root, 'banksman-out', '.staging'))).toEqual([]);
    expect((await buildAll(w)).ran).toEqual([]);
  });
});

describe('a damaged cache', () => {
  const damages: Record<string, (path: string) => Promise<void>> = {
    'cut short': async (path) => truncate(path, Math.floor((await lstat(path)).size / 2)),
    emptied: (path) => truncate(path, 0),
    'written over': async (path) => {
      const bytes = await readFile(path);
      if (bytes.length > 0) bytes[Math.floor(bytes.length / 2)]! ^= 1;
      await rm(path);
      await writeFile(path, bytes);
    },
    'made of noise': async (path) => {
      await rm(path);
      await writeFile(path, Buffer.from([0, 255, 10, 123, 91, 34]));
    },
    removed: (path) => rm(path),
  };

  it.each(Object.entries(damages))('is mended: a file of each kind %s', { timeout: 120_000 }, async (_, damage) => {
    const w = await workspace();
    await buildAll(w);
    const expected = await contentsOf(join(w.root, 'banksman-out'));
    const all = (await filesBelow(w.cache)).map((path) => path.slice(w.cache.length + 1));
    // Every kind of what is kept is among them.
    const kinds = new Set(all.map((path) => path.split('/')[0]));
    expect([...kinds]).toEqual(expect.arrayContaining(['actions', 'blobs', 'standing', 'tests']));
    // The first and the last of each kind: a file, or a program, a test's result, what stands.
    const some = [...kinds].flatMap((kind) => {
      const own = all.filter((path) => path.split('/')[0] === kind).sort();
      return own.length > 1 ? [own[0]!, own.at(-1)!] : own;
    });
    for (const path of some) {
      await chmod(join(w.cache, path), 0o644);
      await damage(join(w.cache, path));
      // Outputs may share their bytes with the cache.
      await rm(join(w.root, 'banksman-out'), { recursive: true, force: true });
      expect(await buildAll(w), path).toMatchObject({ tests: ['passed'] });
      expect(await contentsOf(join(w.root, 'banksman-out')), path).toEqual(expected);
    }
  });

  it('is mended where all of its files are', async () => {
    const w = await workspace();
    await buildAll(w);
    const expected = await contentsOf(join(w.root, 'banksman-out'));
    for (const path of await filesBelow(w.cache)) {
      await rm(path);
      await writeFile(path, 'noise');
    }
    await rm(join(w.root, 'banksman-out'), { recursive: true, force: true });
    await buildAll(w);
    expect(await contentsOf(join(w.root, 'banksman-out'))).toEqual(expected);
  });
});

describe('processes that build at once', () => {
  it('all end well, from an empty cache and after edits, and leave what one alone leaves', {
    timeout: 300_000,
  }, async () => {
    const w = await workspace();
    for (let round = 0; round < 2; round++) {
      await w.write({ [`in${round}`]: `round ${round}\n` });
      const children = [0, 1, 2].map(() => buildAside(w));
      const ends = await Promise.all(
        children.map(async (child) => {
          let said = '';
          child.stderr!.on('data', (data: Buffer) => {
            said += data.toString();
          });
          const [code] = (await once(child, 'close')) as [number | null];
          return { code, said };
        }),
      );
      expect(ends).toEqual(children.map(() => ({ code: 0, said: '' })));
      await buildAll(w);
      expect(await contentsOf(join(w.root, 'banksman-out'))).toEqual(await fromScratch(w));
    }
    expect(await readdir(join(w.cache, 'scratch'))).toEqual([]);
  });
});
