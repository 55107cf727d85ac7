import { isFault } from '../../fault/index.ts';
import { PackageLoader } from '../evaluate/packages.ts';
import { readText } from '../files/data-file.ts';
import { createMountedTree } from '../files/mounted-tree.ts';
import type { SourceTree } from '../files/tree.ts';
import { attributesOf } from '../hash/attributes.ts';
import type { Graph } from '../load/load.ts';
import type { Json, Label, RuleFile, Target, Workspace } from '../types.ts';
import { lineHunks } from './line-diff.ts';

/** Where in what evaluation reads a change of a target's definition comes from. */
export type Origin =
  /** `line` counts from 1, in the later side's text. */
  | { readonly kind: 'line'; readonly file: string; readonly line: number }
  | { readonly kind: 'file'; readonly file: string }
  /** Keys as banksman.yaml has them: `go.import_path`. */
  | { readonly kind: 'configuration'; readonly key: string };

type Evaluated = Pick<Graph, 'workspace' | 'tree' | 'targets'>;

/**
 * Finds what made an attribute of a target come out otherwise, by undoing one change after the other: that of one stretch of
 * lines of a BUILD file, of build_defs or of a data file, or that of one configuration key. What brings the earlier value
 * back is the origin.
 *
 * @returns the first that does; where none does alone, all files and keys that the package read and that differ
 */
export function originsOf(
  before: Evaluated,
  after: Evaluated,
  label: Label,
  attribute: string,
  ruleFiles: readonly RuleFile[],
): Origin[] {
  const old = before.targets.get(label)!;
  const wanted = attributeText(old, attribute);
  const packageName = old.package;
  const evaluate = (workspace: Workspace, tree: SourceTree): string | undefined => {
    try {
      const loaded = new PackageLoader(workspace, { ruleFiles, tree: createMountedTree(tree), say() {} }).load(
        packageName,
      );
      const target = loaded?.targets.get(old.name);
      return target && attributeText(target, attribute);
    } catch (error) {
      // Undoing one change of several can leave files that don't fit together.
      if (isFault(error)) return undefined;
      throw error;
    }
  };
  const restores = (workspace: Workspace, path?: string, text?: string) =>
    evaluate(workspace, path === undefined ? after.tree : withText(after.tree, path, text!)) === wanted;

  const read = new Set<string>();
  evaluate(after.workspace, noting(after.tree, read));
  const files = [...read].filter((path) => before.tree.contentHash(path) !== after.tree.contentHash(path));
  for (const file of files) {
    const was = readText(before.tree, file);
    const is = readText(after.tree, file);
    if (was === undefined || is === undefined) continue;
    const [oldLines, newLines] = [was.split('\n'), is.split('\n')];
    for (const { before: gone, after: come } of lineHunks(oldLines, newLines)) {
      const undone = newLines.toSpliced(come.start, come.end - come.start, ...oldLines.slice(gone.start, gone.end));
      if (restores(after.workspace, file, undone.join('\n'))) {
        return [{ kind: 'line', file, line: Math.min(come.start + 1, newLines.length) }];
      }
    }
    if (restores(after.workspace, file, was)) return [{ kind: 'file', file }];
  }
  const keys = changedKeys(before.workspace.config, after.workspace.config);
  for (const key of keys) {
    const config = withKey(after.workspace.config, key, at(before.workspace.config, key));
    if (restores({ ...after.workspace, config })) return [{ kind: 'configuration', key: key.join('.') }];
  }
  return [
    ...files.map((file): Origin => ({ kind: 'file', file })),
    ...keys.map((key): Origin => ({ kind: 'configuration', key: key.join('.') })),
  ];
}

function attributeText(target: Target, attribute: string): string | undefined {
  return JSON.stringify(attributesOf(target).find(([name]) => name === attribute)?.[1]);
}

/** A tree in which one file has another text. */
function withText(tree: SourceTree, path: string, text: string): SourceTree {
  return { ...tree, read: (each) => (each === path ? Buffer.from(text) : tree.read(each)) };
}

/** A tree that notes which files are read. */
function noting(tree: SourceTree, read: Set<string>): SourceTree {
  return {
    ...tree,
    read(path) {
      read.add(path);
      return tree.read(path);
    },
  };
}

type Config = Readonly<Record<string, Json>>;

function isRecord(value: Json | undefined): value is Config {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function changedKeys(before: Config, after: Config): string[][] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((key) => {
    const [was, is] = [before[key], after[key]];
    if (JSON.stringify(was) === JSON.stringify(is)) return [];
    return isRecord(was) && isRecord(is) ? changedKeys(was, is).map((rest) => [key, ...rest]) : [[key]];
  });
}

function at(config: Config, [key, ...rest]: readonly string[]): Json | undefined {
  const value = config[key!];
  return rest.length === 0 || !isRecord(value) ? value : at(value, rest);
}

function withKey(config: Config, [key, ...rest]: readonly string[], value: Json | undefined): Config {
  const inside = config[key!];
  const next = rest.length === 0 || !isRecord(inside) ? value : withKey(inside, rest, value);
  const { [key!]: _, ...others } = config;
  return next === undefined ? others : { ...others, [key!]: next };
}
