import { dependenciesOf, filesOf, providedFor, resolvedDependencies } from '../evaluate/dependency.ts';
import type { SourceTree } from '../files/tree.ts';
import { attributesOf } from '../hash/attributes.ts';
import { stampFile } from '../hash/stamp.ts';
import type { Graph } from '../load/load.ts';
import { findTarget } from '../query/query.ts';
import type { Label, RuleFile, Target, Workspace } from '../types.ts';
import type { Origin } from './origin.ts';

/** A change that makes a target's hash another one by itself. */
export type Cause =
  | { readonly kind: 'file'; readonly path: string; readonly change: FileChange }
  /** An attribute came out otherwise. `origins` is what made it so. */
  | { readonly kind: 'attribute'; readonly attribute: string; readonly origins: readonly Origin[] }
  /** Some file or other: a `post_build` function may lead to any. */
  | { readonly kind: 'any file' }
  | { readonly kind: 'new' };

export type FileChange = 'content' | 'mode' | 'kind' | 'added' | 'removed';

export interface Explanation {
  readonly label: Label;
  /** From the target with the cause to the one that was asked about; empty where that one is not affected. */
  readonly chain: readonly Label[];
  /** What has changed of the first of the chain. */
  readonly cause: Cause | undefined;
  /** Ways, by other targets or from other causes, in which a change reaches this one too. */
  readonly otherChains: bigint;
}

/** One side of a comparison: targets with their hashes, and the files that they were made of. */
export interface Side {
  readonly workspace: Workspace;
  readonly tree: SourceTree;
  readonly targets: Graph['targets'];
  readonly hash: (label: Label) => string;
}

type Hashed = Pick<Side, 'targets' | 'hash'>;

/**
 * Why a target is affected: a shortest chain from what has changed to it.
 *
 * @throws GraphFault graph/missing-target where the later side has no such target
 */
export async function explain(
  before: Side,
  after: Side,
  label: Label,
  ruleFiles: readonly RuleFile[],
): Promise<Explanation> {
  findTarget(after, label);
  if (!differs(before, after, label)) return { label, chain: [], cause: undefined, otherChains: 0n };
  const next = remembered((each) => affectedDependencies(before, after, each));
  const causes = remembered((each) => ownCauses(before, after, each));

  // Breadth first from the target: the first that has a cause of its own is a nearest one.
  const cameFrom = new Map<Label, Label | undefined>([[label, undefined]]);
  let first: Label = label;
  for (const each of cameFrom.keys()) {
    first = each;
    if (causes(each).length > 0) break;
    for (const dependency of next(each)) if (!cameFrom.has(dependency)) cameFrom.set(dependency, each);
  }
  const chain = [first];
  for (let at = cameFrom.get(first); at !== undefined; at = cameFrom.get(at)) chain.push(at);
  return {
    label,
    chain,
    cause: await withOrigins(causes(first)[0], before, after, first, ruleFiles),
    otherChains: chainCount(label, next, (each) => causes(each).length) - 1n,
  };
}

/** A target, where it is affected, and all affected ones that a change can reach it by. */
export function affectedBehind(before: Hashed, after: Hashed, label: Label): Label[] {
  if (!differs(before, after, label)) return [];
  const found = new Set([label]);
  for (const each of found) for (const dependency of affectedDependencies(before, after, each)) found.add(dependency);
  return [...found];
}

function differs(before: Hashed, after: Hashed, label: Label): boolean {
  return !before.targets.has(label) || before.hash(label) !== after.hash(label);
}

function affectedDependencies(before: Hashed, after: Hashed, label: Label): Label[] {
  return changedDependencies(before, after, label).filter((each) => differs(before, after, each));
}

function remembered<T>(ask: (label: Label) => T): (label: Label) => T {
  const known = new Map<Label, T>();
  return (label) => {
    const before = known.get(label);
    if (before !== undefined) return before;
    const answer = ask(label);
    known.set(label, answer);
    return answer;
  };
}

/** Dependencies that a target had before too, and those whose `provides` made others of them. */
function changedDependencies(before: Hashed, after: Hashed, label: Label): Label[] {
  const is = after.targets.get(label)!;
  const was = before.targets.get(label);
  if (was === undefined) return [];
  const had = new Set(resolvedDependencies(before.targets, was));
  const found = new Set(resolvedDependencies(after.targets, is).filter((each) => had.has(each)));
  for (const { label: named, role } of dependenciesOf(is)) {
    const [provider, old] = [after.targets.get(named)!, before.targets.get(named)];
    if (old === undefined) continue;
    if (providedFor(is, role, provider).join() !== providedFor(was, role, old).join()) found.add(named);
  }
  return [...found];
}

function ownCauses(before: Side, after: Side, label: Label): Cause[] {
  const is = after.targets.get(label)!;
  const was = before.targets.get(label);
  if (was === undefined) return [{ kind: 'new' }];
  const files: Cause[] = [];
  const [oldFiles, newFiles] = [filesOf(was), filesOf(is)];
  for (const path of new Set([...newFiles, ...oldFiles])) {
    const change = fileChange(before.tree, after.tree, path);
    if (change !== undefined) files.push({ kind: 'file', path, change });
  }
  const values = new Map(attributesOf(was).map(([name, value]) => [name, JSON.stringify(value)]));
  const names = new Set([...values.keys(), ...attributesOf(is).map(([name]) => name)]);
  const now = new Map(attributesOf(is).map(([name, value]) => [name, JSON.stringify(value)]));
  const attributes = [...names]
    .filter((name) => values.get(name) !== now.get(name))
    // A glob that gained or lost a file: the file is the cause.
    .filter((name) => !isExplainedByFiles(name, was, is, files))
    .map((attribute): Cause => ({ kind: 'attribute', attribute, origins: [] }));
  if (is.stamp !== undefined && was.stamp !== undefined && !attributes.some(({ kind }) => kind === 'attribute')) {
    // Not the commit, but what it is told of targets that it depends on.
    const told = stampFile(before.targets, was) !== stampFile(after.targets, is);
    if (told) attributes.push({ kind: 'attribute', attribute: 'stamp', origins: [] });
  }
  const own = [...files, ...attributes];
  // Any file can matter to what an open function makes of the graph.
  const isOpen = own.length === 0 && is.postBuild?.open === true && before.hash(label) !== after.hash(label);
  const behind = isOpen && affectedDependencies(before, after, label).length === 0;
  return behind ? [{ kind: 'any file' }] : own;
}

function isExplainedByFiles(attribute: string, was: Target, is: Target, files: readonly Cause[]): boolean {
  if (attribute !== 'srcs' && attribute !== 'data') return false;
  const moved = new Set(
    files.flatMap((cause) =>
      cause.kind === 'file' && (cause.change === 'added' || cause.change === 'removed') ? [cause.path] : [],
    ),
  );
  const rest = (target: Target) =>
    JSON.stringify(target[attribute], (_, value: unknown) =>
      Array.isArray(value)
        ? value.filter(({ path }: { path?: string }) => path === undefined || !moved.has(path))
        : value,
    );
  return moved.size > 0 && rest(was) === rest(is);
}

function fileChange(before: SourceTree, after: SourceTree, path: string): FileChange | undefined {
  const [was, is] = [before.contentHash(path), after.contentHash(path)];
  if (was === is) return undefined;
  if (was === undefined) return 'added';
  if (is === undefined) return 'removed';
  if (before.kind(path) !== after.kind(path)) return 'kind';
  // An executable file's id begins with x.
  return was.replace(/^x/, '') === is.replace(/^x/, '') ? 'mode' : 'content';
}

async function withOrigins(
  cause: Cause | undefined,
  before: Side,
  after: Side,
  label: Label,
  ruleFiles: readonly RuleFile[],
): Promise<Cause | undefined> {
  if (cause?.kind !== 'attribute') return cause;
  // Only an attribute's origin has to be evaluated.
  const { originsOf } = await import('./origin.ts');
  return { ...cause, origins: originsOf(before, after, label, cause.attribute, ruleFiles) };
}

/** Ways from any cause to a target. There can be more than there are atoms: hence a bigint. */
function chainCount(label: Label, next: (label: Label) => Label[], causes: (label: Label) => number): bigint {
  const counts = new Map<Label, bigint>();
  const stack = [label];
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!;
    const below = counts.has(top) ? [] : next(top);
    const open = below.filter((each) => !counts.has(each));
    if (open.length > 0) {
      stack.push(...open);
      continue;
    }
    stack.pop();
    if (counts.has(top)) continue;
    counts.set(
      top,
      below.reduce((sum, each) => sum + counts.get(each)!, BigInt(causes(top))),
    );
  }
  return counts.get(label)!;
}
