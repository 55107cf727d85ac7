import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Graph, type Label, loadGraph, openWorkspace } from '../../graph/index.ts';
import { type Progress, silent } from '../../progress/index.ts';
import { createBuilder } from '../builder.ts';
import { languageActions } from '../language-actions.ts';
import type { Builder, BuilderOptions, BuiltFile, BuiltinActions } from '../types.ts';

/** A workspace in a temporary folder, with a cache of its own. */
export interface TestWorkspace {
  readonly root: string;
  readonly cache: string;
  /** Writes files, by their paths in the workspace. */
  write(files: Readonly<Record<string, string>>): Promise<void>;
  graph(): Promise<Graph>;
  /** A builder of the workspace as it is now. */
  builder(options?: Partial<BuilderOptions>): Promise<Builder>;
  /** Builds one target with a new builder. */
  build(label: Label, options?: Partial<BuilderOptions>): Promise<Built>;
  remove(): Promise<void>;
}

export interface Built {
  readonly files: readonly BuiltFile[];
  /** Labels of the actions that ran, with the reason. */
  readonly ran: Readonly<Record<string, string>>;
}

/**
 * @param rules files of built-in rules; none unless told, so that only `build_rule` is there
 */
export async function makeWorkspace(
  files: Readonly<Record<string, string>>,
  options: {
    readonly rules?: readonly { readonly path: string; readonly source: string }[];
    readonly builtins?: BuiltinActions;
    readonly progress?: Progress;
    /** Folder of the workspace in the temporary one. */
    readonly folder?: string;
  } = {},
): Promise<TestWorkspace> {
  const base = await mkdtemp(join(tmpdir(), 'banksman-build-'));
  const root = join(base, options.folder ?? 'workspace');
  const cache = join(base, 'cache');
  const write = async (some: Readonly<Record<string, string>>) => {
    for (const [path, content] of Object.entries(some)) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
    }
  };
  await write({ 'banksman.yaml': 'name: test\n', ...files });
  const graph = async () => loadGraph(await openWorkspace(root), { ruleFiles: options.rules ?? [] });
  const builder = async (more: Partial<BuilderOptions> = {}) =>
    createBuilder({
      graph: await graph(),
      builtins: options.builtins ?? languageActions,
      progress: options.progress ?? silent,
      cacheFolder: cache,
      jobs: 2,
      ...more,
    });
  return {
    root,
    cache,
    write,
    graph,
    builder,
    async build(label, more = {}) {
      const result = await (await builder(more)).build([label]);
      return {
        files: result.targets.get(label)?.outputs ?? [],
        ran: Object.fromEntries(result.ran.map(({ label: each, why }) => [each, why])),
      };
    },
    remove: () => rm(base, { recursive: true, force: true }),
  };
}
