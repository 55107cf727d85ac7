import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Fault, isFault } from '../fault/index.ts';
import { type Graph, loadGraph } from './load/load.ts';
import type { RuleFile } from './types.ts';
import { openWorkspace } from './workspace/workspace.ts';

/** Rules for the tests of this folder: as small as they can be. */
export const testRules: readonly RuleFile[] = [
  {
    path: 'rules/test.build_defs',
    source: `
def genrule(name:str, cmd:str='', srcs:list|dict=None, outs:list|dict=[], deps:list=None, tools:list=None, data:list=None,
            visibility:list=None, labels:list=[], test_only:bool=False, provides:dict=None, requires:list=None,
            exported_deps:list=None, needs_transitive_deps:bool=False, output_is_complete:bool=False):
    return build_rule(
        name = name, cmd = cmd, srcs = srcs, outs = outs, deps = deps, tools = tools, data = data, visibility = visibility,
        labels = labels, test_only = test_only, provides = provides, requires = requires, exported_deps = exported_deps,
        needs_transitive_deps = needs_transitive_deps, output_is_complete = output_is_complete,
    )

def filegroup(name:str, srcs:list, visibility:list=None, exported_deps:list=None):
    return build_rule(name = name, srcs = srcs, visibility = visibility, exported_deps = exported_deps, _filegroup = True)

def gentest(name:str, test_cmd:str, srcs:list=None, data:list=None, deps:list=None, flaky:bool|int=False):
    return build_rule(name = name, test_cmd = test_cmd, srcs = srcs, data = data, deps = deps, test = True, flaky = flaky)
`,
  },
];

/** Content of a file; `link:` and a path for a symbolic link; null to delete. */
export type Files = Readonly<Record<string, string | null>>;

export interface TestWorkspace {
  readonly root: string;
  write(files: Files): void;
  chmod(path: string, mode: number): void;
  git(...args: string[]): string;
  /** Commits everything. @returns the commit's id */
  commit(message?: string): string;
  load(): Promise<Graph>;
}

/** A workspace in a temporary folder, removed when the test ends. A git repository unless told. */
export function createWorkspace(files: Files = {}, options: { readonly git?: boolean } = {}): TestWorkspace {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'banksman-graph-')));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const workspace = openTestWorkspace(root);
  if (options.git !== false) workspace.git('init', '--quiet', '--initial-branch=main');
  workspace.write({ 'banksman.yaml': 'name: test\n', ...files });
  return workspace;
}

export function openTestWorkspace(root: string): TestWorkspace {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: root,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_AUTHOR_NAME: 'a',
        GIT_AUTHOR_EMAIL: 'a@example.com',
        GIT_COMMITTER_NAME: 'a',
        GIT_COMMITTER_EMAIL: 'a@example.com',
        GIT_ALLOW_PROTOCOL: 'file',
      },
    }).trim();
  return {
    root,
    git,
    write(changes) {
      for (const [path, content] of Object.entries(changes)) {
        const full = join(root, path);
        rmSync(full, { recursive: true, force: true });
        if (content === null) continue;
        for (let parent = dirname(full); parent !== root; parent = dirname(parent)) {
          if (lstatSync(parent, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(parent);
        }
        mkdirSync(dirname(full), { recursive: true });
        if (content.startsWith('link:')) symlinkSync(content.slice(5), full);
        else writeFileSync(full, content);
      }
    },
    chmod: (path, mode) => chmodSync(join(root, path), mode),
    commit(message = 'change') {
      git('add', '--all');
      git('commit', '--quiet', '--allow-empty', '--message', message);
      return git('rev-parse', 'HEAD');
    },
    load: async () => loadGraph(await openWorkspace(root), { ruleFiles: testRules }),
  };
}

/** The fault that something must end with, and the others found with it. */
export async function faultsOf(body: () => unknown): Promise<Fault[]> {
  try {
    await body();
  } catch (error) {
    if (isFault(error)) return [error, ...error.others];
    throw error;
  }
  throw new Error('no fault');
}
