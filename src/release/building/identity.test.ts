import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTargetHasher, type Label, loadGraph, openWorkspace } from '../../graph/index.ts';
import { ruleFiles } from '../../rules/index.ts';
import { identifyTargets } from './identity.ts';

let folder: string;
const path = process.env.PATH;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banksman-identity-'));
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(folder, { recursive: true, force: true });
});

/** A program of the system, in a folder of its own on the PATH. */
function install(version: string): void {
  const bin = join(folder, `bin-${version}`);
  mkdirSync(bin);
  writeFileSync(join(bin, 'our-compiler'), `#!/bin/sh\necho ${version}\n`);
  chmodSync(join(bin, 'our-compiler'), 0o755);
  process.env.PATH = `${bin}${delimiter}${path}`;
}

async function hashes(): Promise<(label: Label) => string> {
  const graph = await loadGraph(await openWorkspace(folder), { ruleFiles: ruleFiles() });
  return createTargetHasher(graph, { extraInputs: await identifyTargets([graph]) });
}

it('makes the content of a program that a target uses part of its hash, and of those that depend on it', async () => {
  writeFileSync(join(folder, 'banksman.yaml'), 'name: x\n');
  writeFileSync(
    join(folder, 'BUILD'),
    `genrule(name = "uses", cmd = "our-compiler > $OUT", outs = ["o"], tools = ["our-compiler"])
genrule(name = "user", cmd = "cp $SRCS $OUT", srcs = [":uses"], outs = ["p"])
genrule(name = "not", cmd = "echo > $OUT", outs = ["q"])
gentest(name = "test", test_cmd = "our-compiler", test_tools = ["our-compiler"])
`,
  );
  const absent = await hashes();
  install('1');
  const first = await hashes();
  const again = await hashes();
  install('2');
  const second = await hashes();
  for (const label of ['//:uses', '//:user', '//:test'] as const) {
    expect(again(label)).toBe(first(label));
    expect(second(label)).not.toBe(first(label));
    expect(absent(label)).not.toBe(first(label));
  }
  expect(second('//:not')).toBe(first('//:not'));
  expect(absent('//:not')).toBe(first('//:not'));
});

it('tells commands, which bash runs, and the versions of built-in actions', async () => {
  writeFileSync(join(folder, 'banksman.yaml'), 'name: x\n');
  writeFileSync(
    join(folder, 'BUILD'),
    `genrule(name = "command", cmd = "echo > $OUT", outs = ["o"])
filegroup(name = "group", srcs = ["BUILD"])
python_binary(name = "py", main = "x.py")
`,
  );
  writeFileSync(join(folder, 'x.py'), '');
  const graph = await loadGraph(await openWorkspace(folder), { ruleFiles: ruleFiles() });
  const identity = await identifyTargets([graph]);
  const { pythonBinaryVersion } = await versions();
  expect(identity(graph.targets.get('//:command')!)).toMatch(/^bash [0-9a-f]{64}/);
  expect(identity(graph.targets.get('//:group')!).trim()).toBe('');
  expect(identity(graph.targets.get('//:py')!)).toContain(pythonBinaryVersion);
});

async function versions() {
  const { languageActions } = await import('../../build/index.ts');
  return { pythonBinaryVersion: languageActions.python_binary!.version };
}
