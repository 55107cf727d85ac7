import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import type { Fault } from '../../fault/index.ts';
import {
  affectedSince,
  explainSince,
  type Graph,
  type Label,
  loadGraph,
  loadTargets,
  openWorkspace,
} from '../../graph/index.ts';
import { silent } from '../../progress/index.ts';
import { ruleFiles } from '../../rules/index.ts';
import { createWorkspaceBuilder } from '../building/builder.ts';
import { buildIncluded } from '../building/included.ts';

/** Gives the tests of a file a cache of their own. */
export function useOwnCache(): void {
  const before = process.env.BANKSMAN_CACHE;
  const cache = mkdtempSync(join(tmpdir(), 'banksman-included-cache-'));
  beforeAll(() => {
    process.env.BANKSMAN_CACHE = cache;
  });
  afterAll(() => {
    if (before === undefined) delete process.env.BANKSMAN_CACHE;
    else process.env.BANKSMAN_CACHE = before;
    rmSync(cache, { recursive: true, force: true });
  });
}

/** A git repository with a workspace, whose BUILD files can include what is built. */
export function repository(files: Readonly<Record<string, string>>) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'banksman-included-')));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  const write = (some: Readonly<Record<string, string>>) => {
    for (const [path, text] of Object.entries(some)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
      if (path.endsWith('.sh')) chmodSync(join(root, path), 0o755);
    }
  };
  write({ 'banksman.yaml': 'name: test\n', '.gitignore': 'banksman-out\n', ...files });
  git('init', '--quiet');
  const options = { ruleFiles: ruleFiles(), build: buildIncluded };
  return {
    root,
    write,
    commit() {
      git('add', '--all');
      git('commit', '--quiet', '--message', 'change');
      return git('rev-parse', 'HEAD');
    },
    build: async (label: Label, out: string) => {
      const builder = await createWorkspaceBuilder(await openWorkspace(root), { progress: silent, patterns: [label] });
      await builder.build([label]);
      return readFileSync(join(root, 'banksman-out/gen', out), 'utf8');
    },
    load: async (): Promise<Graph> => loadGraph(await openWorkspace(root), options),
    targets: async (pattern: string): Promise<string[]> => [
      ...(await loadTargets(await openWorkspace(root), [pattern], options)).graph.targets.keys(),
    ],
    explain: async (label: Label, since: string) =>
      explainSince(await openWorkspace(root), label, { ...options, since }),
    affected: async (since: string, to?: string) => affectedSince(await openWorkspace(root), { ...options, since, to }),
  };
}

export async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: Fault) => error,
  );
}
