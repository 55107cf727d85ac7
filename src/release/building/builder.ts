import {
  type BuilderOptions,
  type BuildResult,
  beginStanding,
  createBuilder,
  languageActions,
  type TestResult,
} from '../../build/index.ts';
import { cacheFolder } from '../../disk/index.ts';
import { isFault } from '../../fault/index.ts';
import {
  findTarget,
  type Graph,
  keepsGraphs,
  type Label,
  type LoadOptions,
  loadForBuild,
  loadWholeGraph,
  openWorkTree,
  type Target,
  targetsMatching,
  type Workspace,
} from '../../graph/index.ts';
import { claimTag, hexOf, openBlobStore, readLayout, repositoryFor, reproducibleLabel } from '../../image/building.ts';
import type { Progress } from '../../progress/index.ts';
import { ruleFiles } from '../../rules/index.ts';
import { servicesOf } from '../environment.ts';
import { ReleaseFault } from '../fault.ts';
import type { BuiltImage, Service } from '../types.ts';
import { releaseActions } from './actions.ts';
import { buildIncluded } from './included.ts';
import { checkNeeded, loadNeeded } from './needed-services.ts';

/** A workspace's graph with what builds it. */
export interface WorkspaceBuilder {
  readonly workspace: Workspace;
  /** What was loaded: the packages that the wanted targets reach. */
  readonly graph: Graph;
  /** Labels that the patterns match. */
  readonly labels: readonly Label[];
  build(labels: readonly Label[]): Promise<BuildResult>;
  test(labels: readonly Label[], options?: { readonly rerun?: boolean }): Promise<TestResult>;
  /** Builds and names images: these, or all `docker_image` targets of the graph. */
  images(labels?: readonly Label[]): Promise<BuiltImage[]>;
  /** Those of `labels` that are images. */
  imageLabels(): Label[];
  /** All `k8s_config` targets of the graph, sorted by label. */
  services(): Service[];
}

export interface WorkspaceBuilderOptions {
  readonly progress: Progress;
  /** `//...` unless told; only packages that these reach are evaluated. */
  readonly patterns?: readonly string[];
  /** Package that patterns are relative to. */
  readonly from?: string;
  /** Actions at a time; the number of cores unless told. */
  readonly jobs?: number;
  /** Go on with what doesn't depend on what failed. */
  readonly keepGoing?: boolean;
  readonly signal?: AbortSignal;
  /** Where graphs are kept, what has not changed is not evaluated again; patterns over folders of a large workspace are answered from the whole. */
  readonly cache?: LoadOptions['cache'];
}

interface Loaded {
  readonly graph: Graph;
  readonly labels: readonly Label[];
  readonly hashes?: BuilderOptions['hashes'];
}

const everything = ['//...'];

/** What the patterns reach. */
async function loadWanted(
  workspace: Workspace,
  { patterns, from, progress, cache }: WorkspaceBuilderOptions,
): Promise<Loaded> {
  const options = {
    ruleFiles: ruleFiles(),
    build: buildIncluded,
    progress,
    cache,
    ...(from !== undefined && { from }),
  };
  return loadForBuild(workspace, patterns ?? everything, options);
}

/** Whether the whole graph, as it may have been kept, is the quickest answer to patterns. */
function readsKept(
  workspace: Workspace,
  { patterns = everything, cache }: Pick<WorkspaceBuilderOptions, 'patterns' | 'cache'>,
): boolean {
  return patterns.some((each) => each.endsWith('...')) && keepsGraphs(workspace, cache);
}

/**
 * The same from the whole graph of a large workspace, of which most need not be evaluated.
 *
 * @returns undefined where that does not help, or where something is wrong that may be elsewhere than what is wanted
 */
async function loadKept(
  workspace: Workspace,
  { patterns = everything, from, cache }: WorkspaceBuilderOptions,
): Promise<Loaded | undefined> {
  if (!readsKept(workspace, { patterns, cache })) return undefined;
  try {
    const { graph, hash, indexed } = await loadWholeGraph(workspace, {
      ruleFiles: ruleFiles(),
      cache,
      build: buildIncluded,
    });
    // With subrepos a label means what the package says in which it stands.
    if (indexed === undefined || !indexed.graph.separable) return undefined;
    const labels = targetsMatching(graph, patterns, from);
    const { contentHash } = graph.tree;
    // Files may have changed since git looked at them: what is built is hashed by another look.
    const tree = openWorkTree(workspace.root);
    return { graph: { ...graph, tree }, labels, hashes: { of: hash, contentHash } };
  } catch (error) {
    if (isFault(error)) return undefined;
    throw error;
  }
}

/**
 * Loads the graph and joins build, images and manifests to it.
 *
 * @throws GraphFault, LanguageFault where BUILD files are wrong or a pattern matches nothing
 */
export async function createWorkspaceBuilder(
  workspace: Workspace,
  options: WorkspaceBuilderOptions,
): Promise<WorkspaceBuilder> {
  const { progress, signal, keepGoing } = options;
  const standing = readsKept(workspace, options) ? beginStanding(workspace.root) : undefined;
  const { graph, labels, hashes } = (await loadKept(workspace, options)) ?? (await loadWanted(workspace, options));
  let store: ReturnType<typeof openBlobStore> | undefined;
  const openStore = () => (store ??= openBlobStore(cacheFolder('blobs')));
  const builder = createBuilder({
    graph,
    ...(hashes !== undefined && { hashes }),
    ...(standing !== undefined && { standing }),
    builtins: { ...languageActions, ...releaseActions(() => graph, openStore) },
    progress,
    ...(options.jobs !== undefined && { jobs: options.jobs }),
  });
  const run = { ...(signal && { signal }), ...(keepGoing !== undefined && { keepGoing }) };
  const needed = (label: Label) =>
    loadNeeded(workspace, label, { ruleFiles: ruleFiles(), build: buildIncluded, progress, cache: options.cache });
  return {
    workspace,
    graph,
    labels,
    async build(wanted) {
      await checkNeeded(graph, wanted, needed);
      return await builder.build(wanted, run);
    },
    async test(wanted, { rerun } = {}) {
      await checkNeeded(graph, wanted, needed);
      return await builder.test(wanted, { ...run, ...(rerun !== undefined && { rerun }) });
    },
    async images(wanted = imagesOf(graph)) {
      const targets = wanted.map((label) => imageTarget(graph, label));
      // One that fails is thrown: an image that is left out of a release would be a hole in it.
      const { targets: built } = await builder.build(wanted, { ...(signal && { signal }) });
      return await Promise.all(
        targets.map(async (target): Promise<BuiltImage> => {
          const layout = built.get(target.label)?.outputs[0]?.absolute ?? noImage(target);
          const { content, digest, images } = await readLayout(layout);
          const tag = hexOf(content).slice(0, workspace.images.tags === 'long' || isLong(target) ? 64 : 12);
          await claimTag(await openStore(), tag, content);
          const reproducible = !images.some(
            ({ configuration }) => (configuration.config.Labels as Labels)?.[reproducibleLabel] === 'false',
          );
          return { label: target.label, repository: repositoryOf(target), tag, digest, layout, reproducible };
        }),
      );
    },
    imageLabels: () => labels.filter((label) => isImage(findTarget(graph, label))),
    services: () => servicesOf(graph),
  };
}

type Labels = Readonly<Record<string, unknown>> | undefined;

function imagesOf(graph: Graph): Label[] {
  return [...graph.targets.values()]
    .filter(isImage)
    .map(({ label }) => label)
    .sort();
}

function isImage({ action }: Target): boolean {
  if (action.kind !== 'builtin') return false;
  // A part of an index has no name of its own.
  return (
    action.name === 'image_index' || (action.name === 'image' && !(action.config as { part?: unknown } | null)?.part)
  );
}

function imageTarget(graph: Graph, label: Label): Target {
  const target = findTarget(graph, label);
  return isImage(target) ? target : noImage(target);
}

/** The rule asks for the long tag. */
function isLong({ action }: Target): boolean {
  return action.kind === 'builtin' && (action.config as { long_tag?: unknown } | null)?.long_tag === true;
}

function noImage({ label, rule, place }: Target): never {
  throw new ReleaseFault('release/not-an-image', `${label} is no image, but a ${rule}`, {
    place,
    next: 'name a docker_image target',
  });
}

function repositoryOf({ label, action }: Target): string {
  const config = action.kind === 'builtin' ? (action.config as { repo?: unknown } | null) : null;
  return repositoryFor(label, typeof config?.repo === 'string' ? config.repo : undefined);
}
