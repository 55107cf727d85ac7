import {
  type Graph,
  groupNames,
  type Input,
  type Inputs,
  type Label,
  outputNamesOf,
  type Target,
} from '../graph/index.ts';
import { type Artifact, artifactIdentity } from './artifact.ts';
import { standIns, type Targets, visibleDependencies, withData, withGrouped } from './closure.ts';
import { BuildFault } from './fault.ts';
import { shownFile } from './sandbox.ts';
import { linkOf } from './source.ts';
import { systemPath, systemSum } from './system-file.ts';
import { allInputs, inputKey, labelsIn, pathOf } from './target.ts';
import { resolveTool, type Tool } from './tool.ts';

/** What a target's action, or one before it, has made. */
export interface Outputs {
  readonly label: Label;
  readonly artifacts: readonly Artifact[];
}

export type Resolved =
  | { readonly kind: 'source'; readonly path: string; readonly hash: string }
  | {
      readonly kind: 'outputs';
      readonly label: Label;
      readonly artifacts: readonly Artifact[];
      /** Path of the file that is meant, where it lies in a folder that is an output: the whole folder is laid out. */
      readonly inside?: string;
    }
  | { readonly kind: 'program'; readonly tool: Tool }
  /** A file or folder of the system, as the target names it and where it is. */
  | { readonly kind: 'system'; readonly path: string; readonly absolute: string; readonly hash: string };

export interface ResolvedInputs {
  readonly all: readonly { readonly input: Input; readonly what: Resolved }[];
  readonly named: Readonly<Record<string, readonly { readonly input: Input; readonly what: Resolved }[]>>;
}

export interface ResolvedDependency extends Outputs {
  readonly direct: boolean;
  readonly named: Readonly<Record<string, readonly Artifact[]>>;
}

/** Everything that an action reads, by content. */
export interface ActionInputs {
  readonly srcs: ResolvedInputs;
  readonly tools: ResolvedInputs;
  /** What tools need when they run. */
  readonly toolData: readonly Resolved[];
  readonly deps: readonly ResolvedDependency[];
}

export interface InputSource {
  readonly graph: Graph;
  /** Outputs of a target that was made before. */
  outputs(label: Label): Outputs;
  /** Notes that a source is read, so that a change under our hands is found. */
  noteSource(path: string): void;
}

/** @param dependencyOutputs narrows dependencies to the named outputs of this name, where they have such */
export async function resolveActionInputs(
  source: InputSource,
  target: Target,
  dependencyOutputs: string | undefined,
): Promise<ActionInputs> {
  const { targets } = source.graph;
  const deps = visibleDependencies(targets, target).map(({ label, direct }): ResolvedDependency => {
    const { artifacts } = source.outputs(label);
    const named = namedArtifacts(targets, label, artifacts);
    const narrowed = dependencyOutputs === undefined ? undefined : named[dependencyOutputs];
    return { label, direct, artifacts: narrowed ?? artifacts, named };
  });
  return {
    srcs: await resolveInputs(source, target, target.srcs, 'srcs'),
    tools: await resolveInputs(source, target, target.tools),
    toolData: await resolveToolData(source, target.tools),
    deps,
  };
}

/** @param role whether targets that provide something else stand for themselves: only sources and dependencies don't */
export async function resolveInputs(
  source: InputSource,
  target: Target,
  inputs: Inputs,
  role: 'srcs' | 'tools' = 'tools',
): Promise<ResolvedInputs> {
  const known = new Map<string, Resolved>();
  for (const input of allInputs(inputs)) known.set(inputKey(input), await resolveInput(source, target, input, role));
  const pick = (input: Input) => ({ input, what: known.get(inputKey(input))! });
  return {
    all: allInputs(inputs).map(pick),
    named: Object.fromEntries(Object.entries(inputs.named).map(([name, group]) => [name, group.map(pick)])),
  };
}

async function resolveInput(
  source: InputSource,
  target: Target,
  input: Input,
  role: 'srcs' | 'tools',
): Promise<Resolved> {
  if (input.kind === 'file') return resolveSource(source, target, input.path);
  if (input.kind === 'system') {
    const { path } = input;
    return { kind: 'system', path, absolute: systemPath(path), hash: await systemSum(path, target) };
  }
  if (input.kind === 'program') {
    const tool = await resolveTool(input.name).catch((error: unknown) => {
      if (!(error instanceof BuildFault)) throw error;
      throw new BuildFault(error.code, `${target.label} needs a program: ${error.message}`, {
        place: target.place,
        next: error.next,
        cause: error,
      });
    });
    return { kind: 'program', tool };
  }
  if (input.named === undefined) {
    const artifacts = standIns(source.graph.targets, target, input, role).flatMap(
      (label) => source.outputs(label).artifacts,
    );
    return { kind: 'outputs', label: input.label, artifacts };
  }
  const { artifacts } = source.outputs(input.label);
  const named = namedArtifacts(source.graph.targets, input.label, artifacts)[input.named];
  if (named === undefined) {
    throw new BuildFault(
      'build/undeclared-input',
      `${target.label} wants the outputs ${input.named} of ${input.label}, which has none of this name`,
      { place: target.place, next: `name one of its groups, or leave out |${input.named}` },
    );
  }
  const inside = named.length > 0 ? undefined : inFolder(source.graph.targets.get(input.label), input.named, artifacts);
  return { kind: 'outputs', label: input.label, artifacts: named, ...inside };
}

/** An entry point inside of an output that is a folder, such as `jdk/bin/java`. */
function inFolder(
  target: Target | undefined,
  named: string,
  artifacts: readonly Artifact[],
): { readonly artifacts: readonly Artifact[]; readonly inside: string } | undefined {
  const [out] = target?.namedOuts[named] ?? [];
  if (target === undefined || out === undefined) return undefined;
  const inside = pathOf(target, out);
  const folder = artifacts.find(({ kind, path }) => kind === 'folder' && inside.startsWith(`${path}/`));
  return folder === undefined ? undefined : { artifacts: [folder], inside };
}

/**
 * Where it is laid out, relative to the folder of what is laid out with it.
 *
 * @param root of the scratch folder as the action sees it
 */
export function laidPaths(what: Resolved, root: string): string[] {
  switch (what.kind) {
    case 'source':
      return [what.path];
    case 'system':
      return [shownFile(what.path, root).to];
    case 'program':
      return [what.tool.path];
    case 'outputs':
      return what.inside === undefined ? what.artifacts.map(({ path }) => path) : [what.inside];
  }
}

export function resolveSource(source: InputSource, target: Target, path: string): Resolved {
  source.noteSource(path);
  const hash = source.graph.tree.contentHash(path);
  if (hash === undefined) {
    throw new BuildFault('build/input-changed', `${path}, a source of ${target.label}, is not there any more`, {
      place: target.place,
      next: 'bring it back, or take it out of the target, and build again',
    });
  }
  const [, end] = badLink.exec(hash) ?? [];
  if (end !== undefined) {
    const where = { outside: 'out of the workspace', nothing: 'to nothing', loop: 'back to itself' }[end];
    throw new BuildFault('build/bad-source', `${path}, a source of ${target.label}, is a link that leads ${where}`, {
      place: target.place,
      notes: [`it says ${linkOf(hash.replace(/^via /, ''))}`],
      next:
        end === 'outside'
          ? 'put the file itself into the workspace, or take the link out of the target: a source is the same for everybody'
          : 'put right where it leads, or take it out of the target',
    });
  }
  return { kind: 'source', path, hash };
}

/** What the hash of a link says that does not lead to a file or folder of the workspace; see `SourceTree.contentHash`. */
const badLink = /^(?:via )?(?:link "(?:[^"\\]|\\.)*" )+(outside|nothing|loop)$/;

/** What tools, or targets among the data of a test, need when they run: without themselves. */
export async function resolveToolData(source: InputSource, inputs: Inputs): Promise<Resolved[]> {
  const { targets } = source.graph;
  const found = new Map<string, Resolved>();
  for (const label of labelsIn(inputs)) {
    for (const each of withData(targets, label)) {
      if (each !== label && targets.has(each)) found.set(each, { kind: 'outputs', ...source.outputs(each) });
      for (const target of withGrouped(targets, each)) {
        for (const input of allInputs(target.data)) {
          if (input.kind === 'file') found.set(input.path, resolveSource(source, target, input.path));
        }
      }
    }
  }
  return [...found.values()];
}

export function namedArtifacts(
  targets: Targets,
  label: Label,
  artifacts: readonly Artifact[],
): Record<string, readonly Artifact[]> {
  const target = targets.get(label);
  const groups = target === undefined ? [] : groupNames(target);
  if (target === undefined || groups.length === 0) return {};
  const byPath = new Map(artifacts.map((artifact) => [artifact.path, artifact]));
  const find = (each: Label) => targets.get(each);
  return Object.fromEntries(
    groups.map((name) => [
      name,
      (outputNamesOf(find, target, name) ?? []).flatMap((out) => byPath.get(pathOf(target, out)) ?? []),
    ]),
  );
}

/** What of an input is part of a key: a name for a person, and its content. */
export function inputParts(what: Resolved, role: 'source' | 'tool' | 'data'): [string, string][] {
  if (what.kind === 'source') return [[`${role} ${what.path}`, what.hash]];
  if (what.kind === 'program') return [[`program ${what.tool.name}`, what.tool.identity]];
  if (what.kind === 'system') return [[`file of the system ${what.path}`, what.hash]];
  const inside = what.inside === undefined ? '' : ` ${what.inside}`;
  return what.artifacts.map((artifact) => [
    `${role} ${artifact.path} of ${what.label}`,
    `${artifactIdentity(artifact)}${inside}`,
  ]);
}
