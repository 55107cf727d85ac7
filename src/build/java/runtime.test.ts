import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { makeWorkspace, type TestWorkspace } from '../testing/workspace.ts';

const workspaces: TestWorkspace[] = [];
afterEach(async () => {
  for (const each of workspaces.splice(0)) await each.remove();
});

const main = `package p;
public class Main {
  public static void main(String[] words) throws Exception {
    javax.net.ssl.SSLContext.getDefault();
    java.util.logging.Logger.getLogger("x").fine("a module that only jdeps knows of");
    System.out.println(ModuleLayer.boot().modules().stream().map(Module::getName).sorted().toList());
  }
}
`;
const build = (more: string) => `
build_rule(name = "server", action = "java_binary", config = {"release": 17, "javac_flags": [], "main_class": "p.Main"}, srcs = {"srcs": ["Main.java"]}, outs = ["server.jar"])
build_rule(name = "runtime", action = "java_runtime", config = {"jdk": None, "compress": "none", "modules": [], ${more}}, srcs = {"jars": [":server"]}, outs = ["runtime"])
`;

async function workspace(more = '', folder = 'workspace'): Promise<TestWorkspace> {
  const made = await makeWorkspace({ 'p/BUILD': build(more), 'p/Main.java': main }, { folder });
  workspaces.push(made);
  return made;
}

/** Sums of all files of a folder by their paths, with who may run them. */
async function sums(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    const sum = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    found[path.slice(folder.length + 1)] = `${sum} ${mode & 0o100 ? 'runs' : ''}`;
  }
  return found;
}

it('holds what the jars need, runs them, and is the same bytes wherever it is made', { timeout: 120_000 }, async () => {
  const first = (await (await workspace()).build('//p:runtime')).files[0]!.absolute;
  const jar = first.replace(/runtime$/, 'server.jar');
  const other = await workspace('', 'another/deeper folder');
  const former = process.env.TZ;
  process.env.TZ = 'Pacific/Kiritimati';
  const second = await other.build('//p:runtime', { jobs: 1 }).finally(() => {
    if (former === undefined) delete process.env.TZ;
    else process.env.TZ = former;
  });
  expect(await sums(second.files[0]!.absolute)).toEqual(await sums(first));
  const program = second.files[0]!.absolute.replace(/runtime$/, 'server.jar');
  await other.build('//p:server');
  expect(jar).not.toBe(program);
  const said = execFileSync(
    join(second.files[0]!.absolute, 'bin/java'),
    ['-Djavax.net.ssl.trustStore=/dev/null', '-jar', program],
    {
      encoding: 'utf8',
    },
  );
  expect(said).toBe('[java.base, java.logging]\n');
  // Whose authorities are trusted is said by the image.
  expect(Object.keys(await sums(first))).not.toContain('lib/security/cacerts');
});

it('modules are added and left out; one that does not exist is an error', { timeout: 120_000 }, async () => {
  const more = await workspace('"modules": ["jdk.httpserver"], "exclude_modules": ["java.logging"]');
  const [runtime] = (await more.build('//p:runtime')).files;
  const listed = execFileSync(join(runtime!.absolute, 'bin/java'), ['--list-modules'], { encoding: 'utf8' });
  expect(listed.replace(/@\S+/g, '').trim().split('\n')).toEqual(['java.base', 'jdk.httpserver']);
  const wrong = await workspace('"modules": ["java.nothing"]');
  await expect(wrong.build('//p:runtime')).rejects.toMatchObject({
    code: 'build/action-failed',
    notes: [expect.stringContaining('java.nothing')],
  });
});
