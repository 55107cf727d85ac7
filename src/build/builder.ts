import { cpus } from 'node:os';
import { join } from 'node:path';
import { cacheFolder as cachePlace } from '../disk/index.ts';
import { type Fault, isFault } from '../fault/index.ts';
import { type GrowingTargets, type Label, stampFile, type Target, usualSums } from '../graph/index.ts';
import type { Task } from '../progress/index.ts';
import { runAction, type Workshop } from './action.ts';
import type { Artifact } from './artifact.ts';
import { type ActionRecord, openCache } from './cache.ts';
import { cacheLimitOf } from './cache-limit.ts';
import { actionDependencies, postOrder, testDependencies, withData } from './closure.ts';
import { BuildFault } from './fault.ts';
import { openHistory } from './history.ts';
import { type InputSource, namedArtifacts, resolveActionInputs } from './inputs.ts';
import { actionArguments, actionKeyParts, keyOf } from './key.ts';
import { checkLicences } from './licences.ts';
import { checkHashes } from './locked-sums.ts';
import { forgetMaking, makeOnce } from './make-once.ts';
import { materialise } from './materialise.ts';
import { hideFromGit } from './output-root.ts';
import { openRemoteCache, type RemoteCache, type Wanted } from './remote/remote-cache.ts';
import { remoteCacheSettings } from './remote/settings.ts';
import { openSandbox, type Sandbox } from './sandbox.ts';
import { removeAbandoned } from './scratch.ts';
import { createSlots } from './slots.ts';
import { createSourceWatch } from './source-watch.ts';
import { openStanding, type Standing, type StandingOutputs, standingFiles } from './standing.ts';
import { readStanding } from './standing-record.ts';
import { allInputs, outputFolder, outputNames, pathOf } from './target.ts';
import { runTest } from './test.ts';
import { resolveTool } from './tool.ts';
import type {
  Builder,
  BuilderOptions,
  BuildResult,
  BuiltFile,
  BuiltTarget,
  RunOptions,
  TestedTarget,
} from './types.ts';
import { explain } from './why.ts';

/** A target whose outputs are in the cache. */
interface Made {
  readonly label: Label;
  readonly artifacts: readonly Artifact[];
  /** Files beside them that no other action sees. */
  readonly optional: readonly Artifact[];
  readonly how: 'ran' | 'cached';
  /** The result came from the remote cache. */
  readonly fetched: boolean;
  readonly why: string | undefined;
  readonly seconds: number;
}

/**
 * Begins to look at what stands in a workspace's output folder since the last build, while its graph is loaded: see
 * `BuilderOptions.standing`.
 */
export function beginStanding(workspaceRoot: string): NonNullable<BuilderOptions['standing']> {
  return readStanding(standingFiles(cachePlace('build'), join(workspaceRoot, outputFolder)));
}

/** Runs the actions of one graph, which has to be that of the work tree. */
export function createBuilder(options: BuilderOptions): Builder {
  const builderOptions = options;
  const { builtins, progress } = options;
  // Where functions change the graph behind actions, all that follows looks at it as it is by then.
  const growing = options.graph.grow?.();
  const graph = growing === undefined ? options.graph : { ...options.graph, targets: growing.targets };
  const cacheFolder = options.cacheFolder ?? cachePlace('build');
  const sourceRoot = options.sourceRoot ?? graph.workspace.root;
  const outputRoot = options.outputRoot ?? join(sourceRoot, outputFolder);
  const cache = openCache(cacheFolder, options.cacheLimit ?? cacheLimitOf(options.env ?? process.env));
  const slots = createSlots(options.jobs ?? Math.max(1, cpus().length));
  // What is built elsewhere is no part of what was built here.
  const history = openHistory(cacheFolder, options.sourceRoot === undefined ? graph.workspace.root : 'elsewhere');
  // What lies in a subrepo that was built is not in the workspace.
  const placeOf = (path: string) => graph.tree.placeOf?.(path) ?? join(sourceRoot, path);
  const watch = createSourceWatch(placeOf);
  const made = new Map<Label, Made>();
  let confinement: Promise<Sandbox> | undefined;
  let cleared: Promise<unknown> | undefined;
  let remote: Promise<RemoteCache | undefined> | undefined;
  const shop: Workshop = {
    workspaceRoot: sourceRoot,
    placeOf,
    outputRoot,
    stagingFolder: join(outputRoot, '.staging'),
    scratchFolder: join(cacheFolder, 'scratch'),
    cacheRoot: cachePlace(),
    cache,
    progress,
    sums: graph.workspace.please?.sums ?? usualSums,
    target: (label) => graph.targets.get(label),
    sandbox() {
      confinement ??= openSandbox(cacheFolder, progress);
      return confinement;
    },
    remote() {
      remote ??= remoteCacheSettings(graph.workspace, options.env ?? process.env).then((settings) =>
        settings === undefined
          ? undefined
          : openRemoteCache({ settings, cache, scratchFolder: join(cacheFolder, 'scratch'), progress }),
      );
      return remote;
    },
    async sharing() {
      // What an unconfined action has made may come from what it does not declare: that stays on this machine.
      const remote = await shop.remote();
      return remote !== undefined && (await shop.sandbox()).confines ? remote : undefined;
    },
  };
  const source: InputSource = {
    graph,
    outputs(label) {
      const there = made.get(label);
      if (there === undefined) throw new Error(`${label} is needed before it is made`);
      return there;
    },
    noteSource: (path) => watch.note(path),
  };

  const targetOf = (label: Label): Target => {
    const target = graph.targets.get(label);
    if (target === undefined) throw new Error(`${label} is not in the graph`);
    return target;
  };

  /** An action's result from the remote cache, where it has one: into the local cache. */
  const fetch = async (target: Target, key: string, signal: AbortSignal): Promise<ActionRecord | undefined> => {
    const from = isShared(target) ? await shop.remote() : undefined;
    if (from === undefined) return undefined;
    let task: Task | undefined;
    const coming = () => {
      task = progress.begin(target.label);
      task.update('fetching');
    };
    try {
      const record = await from.find(key, wantedOf(target), signal, coming);
      if (record !== undefined) await cache.keep(key, record);
      return record;
    } finally {
      task?.done();
    }
  };

  /** Outputs that were not known before, by path, with who has made them. */
  const found = new Map<string, Label>();
  /** @throws BuildFault build/output-clash where an action has made a file that is another target's */
  const claim = (target: Target, outputs: readonly Artifact[]): void => {
    if (target.outputDirs === undefined) return;
    const own = new Set(outputNames(target).map((name) => pathOf(target, name)));
    const others = new Map(found);
    for (const each of graph.packages.get(target.package)?.targets.values() ?? []) {
      if (each.action.kind === 'filegroup') continue;
      for (const name of outputNames(each)) others.set(pathOf(each, name), each.label);
    }
    for (const { path } of outputs) {
      if (own.has(path)) continue;
      for (const [other, owner] of others) {
        if (owner === target.label) continue;
        const [above, below] = other.length < path.length ? [other, path] : [path, other];
        if (above !== below && !below.startsWith(`${above}/`)) continue;
        const as = above === below ? '' : ` as a folder for ${below}`;
        throw new BuildFault('build/output-clash', `${target.label} and ${owner} both make ${above}${as}`, {
          place: target.place,
          related: [{ message: `${owner} is here`, place: targetOf(owner).place }],
          next: 'give one of the outputs another name',
        });
      }
      found.set(path, target.label);
    }
  };

  /**
   * Whether a result is what the target makes. Where a function reads what was printed, it does so again, and may have other outputs
   * in mind than those that are there.
   */
  const fits = (target: Target, { outputs, printed, found = [] }: ActionRecord): boolean => {
    if (target.postBuild === undefined || growing === undefined) return true;
    if (printed === undefined) return false;
    const grown = growing.built(target.label, printed, found);
    const wanted = new Set(outputNames(grown).map((name) => pathOf(target, name)));
    return outputs.length === wanted.size && outputs.every(({ path }) => wanted.has(path));
  };

  /** Makes one target, all that it needs being there. */
  const make = async (target: Target, signal: AbortSignal, priority: number): Promise<Made> => {
    const { action, label } = target;
    checkLicences(graph.workspace, target);
    const builtin = action.kind === 'builtin' ? builtins[action.name] : undefined;
    if (action.kind === 'builtin' && builtin === undefined) {
      throw new BuildFault(
        'build/unknown-action',
        `${label} wants the built-in action ${action.name}, which there is not`,
        {
          place: target.place,
          next: `use one of ${Object.keys(builtins).sort().join(', ')}`,
        },
      );
    }
    if (target.postBuild !== undefined && growing === undefined) {
      throw new Error(`the graph was read without the post_build function of ${label}`);
    }
    const inputs = await resolveActionInputs(source, target, builtin?.dependencyOutputs);
    const shell = action.kind === 'shell' ? await resolveTool('bash') : undefined;
    const stampText = target.stamp === undefined ? undefined : stampFile(graph.targets, target);
    const parts = await actionKeyParts(target, inputs, shell, builtin, stampText);
    const key = keyOf(parts);
    const local = await cache.find(key);
    const known = local ?? (await fetch(target, key, signal));
    const record = known !== undefined && fits(target, known) ? known : undefined;
    const taken = async (record: ActionRecord, fetched: boolean): Promise<Made> => {
      await checkHashes(target, record.outputs, cache.blobs, shop.sums);
      await history.note(label, key, fetched ? parts : undefined);
      const { optional = [] } = record;
      const outputs = inOrder(record.outputs);
      claim(target, outputs);
      return { label, artifacts: outputs, optional, how: 'cached', fetched, why: undefined, seconds: 0 };
    };
    if (record !== undefined) return await taken(record, local === undefined);
    return slots.run(priority, async () => {
      signal.throwIfAborted();
      const why = explain(await history.before(label), parts, actionArguments);
      const task = progress.begin(label);
      const started = performance.now();
      try {
        const grow =
          target.postBuild === undefined || growing === undefined
            ? undefined
            : (printed: string, found: readonly string[]) => growing.built(label, printed, found);
        const told = { key, stampFile: stampText, grow };
        cleared ??= Promise.all([removeAbandoned(join(cacheFolder, 'scratch')), forgetMaking(cacheFolder)]);
        await cleared;
        const found = async () => {
          const record = await cache.find(key);
          return record !== undefined && fits(target, record) ? await taken(record, false) : undefined;
        };
        const result = await makeOnce({ cacheFolder, key, task, signal, found }, async (): Promise<Made> => {
          const made = await runAction(shop, target, inputs, builtin, told, task, signal);
          watch.check(target);
          const { optional = [] } = made;
          const artifacts = inOrder(made.outputs);
          claim(target, artifacts);
          const seconds = (performance.now() - started) / 1000;
          const record = { ...made, seconds };
          await cache.keep(key, record);
          if (isShared(target)) (await shop.sharing())?.keep(key, record, wantedOf(target));
          await history.note(label, key, parts);
          return { label, artifacts, optional, how: 'ran', fetched: false, why, seconds };
        });
        task.done();
        return result;
      } catch (error) {
        task.fail();
        throw error;
      }
    });
  };

  /** Makes all of these and what they need; what fails is handed to `failed`, and what depends on it is left out. */
  const makeAll = async (
    labels: readonly Label[],
    signal: AbortSignal,
    failed: (label: Label, error: unknown) => void,
    each: (label: Label) => Promise<void>,
  ): Promise<void> => {
    const needs = new Map<Label, readonly Label[]>();
    const heights = new Map<Label, number>();
    const pending = new Map<Label, Promise<boolean>>();
    const wanted = new Set(labels);
    const areMade = async (labels: readonly Label[]): Promise<boolean> =>
      (await Promise.all(labels.map((label) => pending.get(label)))).every((good) => good !== false);
    const run = async (label: Label): Promise<boolean> => {
      const known = needs.get(label) ?? [];
      if (!(await areMade(known)) || signal.aborted) return false;
      try {
        if (!made.has(label)) {
          if (growing !== undefined && !(await settle(growing, label))) return false;
          made.set(label, await make(targetOf(label), signal, heights.get(label) ?? 0));
        }
        if (wanted.has(label)) await each(label);
        return true;
      } catch (error) {
        failed(label, error);
        return false;
      }
    };
    const schedule = (labels: readonly Label[]): void => {
      const order = postOrder(labels, (label) => {
        if (pending.has(label)) return [];
        const found = actionDependencies(graph.targets, targetOf(label));
        needs.set(label, found);
        return found;
      });
      const fresh = [...order].filter((label) => !pending.has(label));
      for (const [label, height] of heightsOf(fresh, needs)) heights.set(label, height);
      for (const label of fresh) pending.set(label, run(label));
    };
    /** Functions may have given the target more to depend on: that is made, too. */
    const settle = async (growing: GrowingTargets, label: Label): Promise<boolean> => {
      for (;;) {
        const known = needs.get(label) ?? [];
        const target = growing.settle(label, known);
        const more = actionDependencies(graph.targets, target).filter((need) => !known.includes(need));
        if (more.length === 0) return true;
        needs.set(label, [...known, ...more]);
        schedule(more);
        refuseCircle(target, more, needs);
        if (!(await areMade(more)) || signal.aborted) return false;
      }
    };
    schedule(labels);
    // What is scheduled on the way is waited for by what needs it.
    await Promise.all(pending.values());
  };

  /** @throws BuildFault build/cycle where what a target has come to need waits for the target */
  const refuseCircle = (target: Target, more: readonly Label[], needs: ReadonlyMap<Label, readonly Label[]>): void => {
    const seen = new Set(more);
    for (const label of seen) {
      if (label === target.label) {
        throw new BuildFault(
          'build/cycle',
          `${target.label} has come to depend on itself, by way of ${more.join(', ')}`,
          {
            place: target.place,
            next: 'take out what a post_build function has added',
          },
        );
      }
      for (const need of needs.get(label) ?? []) seen.add(need);
    }
  };

  const place = (label: Label, binary = graph.targets.get(label)?.binary === true) => {
    return (artifact: Artifact) => join(outputRoot, binary ? 'bin' : 'gen', artifact.path);
  };

  const standingPlace = standingFiles(cacheFolder, outputRoot);
  let early = options.standing;
  const readStandingOnce = () => {
    const found = early ?? readStanding(standingPlace);
    early = undefined;
    return found;
  };

  const builtTarget = (from: Omit<Made, 'fetched' | 'optional'>, binary?: boolean): BuiltTarget => {
    const { label, how, why, seconds } = from;
    let known: readonly Artifact[] | undefined;
    const artifacts = () => (known ??= from.artifacts);
    const file = (artifact: Artifact): BuiltFile => ({
      path: artifact.path,
      absolute: place(label, binary)(artifact),
      kind: artifact.kind,
      sha256: artifact.sha256,
      executable: artifact.kind === 'file' && artifact.executable,
    });
    // Of a hundred thousand targets hardly one is asked for its outputs.
    return {
      label,
      get outputs() {
        return artifacts().map(file);
      },
      get named() {
        const named = namedArtifacts(graph.targets, label, artifacts());
        return Object.fromEntries(Object.entries(named).map(([name, group]) => [name, group.map(file)]));
      },
      how,
      why,
      seconds,
    };
  };

  let swept: Promise<void> | undefined;
  const putInPlace = async (label: Label): Promise<void> => {
    swept ??= removeAbandoned(shop.stagingFolder);
    await swept;
    const at = place(label);
    const { artifacts = [], optional = [] } = made.get(label) ?? {};
    for (const artifact of [...artifacts, ...optional]) {
      await materialise(artifact, at(artifact), cache.blobs, shop.stagingFolder);
    }
  };

  /** Remembers what was just put in place. */
  const noteStanding = async (record: Standing, labels: readonly Label[]): Promise<void> => {
    const { of, contentHash } = builderOptions.hashes!;
    const needs = new Map<Label, readonly Target[]>();
    const needsOf = (label: Label): readonly Target[] => {
      let found = needs.get(label);
      if (found === undefined) {
        found = actionDependencies(graph.targets, targetOf(label)).map(targetOf);
        needs.set(label, found);
      }
      return found;
    };
    // A file that was edited after the hashes were made: these say nothing of what was built.
    const edited = [...made.keys()].some((label) =>
      allInputs(targetOf(label).srcs).some(
        (input) => input.kind === 'file' && contentHash(input.path) !== graph.tree.contentHash(input.path),
      ),
    );
    if (edited) return;
    for (const label of labels) {
      const there = made.get(label);
      if (there !== undefined) await record.note(targetOf(label), of(label), there.artifacts, needsOf);
    }
    await record.save((label) => graph.targets.has(label));
  };

  /** Runs `work` with a signal that ends with the caller's, and with the first failure unless `keepGoing`. */
  const supervise = async (
    options: RunOptions,
    work: (signal: AbortSignal, failed: (label: Label, error: unknown) => void) => Promise<void>,
  ): Promise<{ failures: Fault[] }> => {
    options.signal?.throwIfAborted();
    const own = new AbortController();
    const signal = options.signal === undefined ? own.signal : AbortSignal.any([own.signal, options.signal]);
    const failures: Fault[] = [];
    let first: unknown;
    const failed = (_label: Label, error: unknown) => {
      if (signal.aborted && error === signal.reason) return;
      if (isFault(error) && options.keepGoing === true) {
        failures.push(error);
        return;
      }
      first ??= error;
      own.abort(new Error('another action has failed'));
    };
    // A mistake in what is said of the remote cache is met before anything runs.
    const far = await shop.remote();
    if (builderOptions.outputRoot === undefined) await hideFromGit(outputRoot);
    try {
      await work(signal, failed);
    } finally {
      // Also after a failure: what was made is of use to others. ^C drops it.
      await far?.settle(options.signal ?? new AbortController().signal);
      await history.save();
      await graph.tree.save();
      await cache.trim();
    }
    options.signal?.throwIfAborted();
    if (first !== undefined) throw first;
    return { failures };
  };

  return {
    async build(labels, options = {}): Promise<BuildResult> {
      const asked = [...new Set(labels)];
      const standing = new Map<Label, StandingOutputs>();
      const { hashes } = builderOptions;
      const record = hashes && (await openStanding(standingPlace, await readStandingOnce(), builtins));
      for (const label of asked) {
        const found = hashes && record?.find(label, hashes.of(label));
        if (found !== undefined) standing.set(label, found);
      }
      const wanted = asked.filter((label) => !standing.has(label));
      // A program that was asked for is about to be run: what it needs for that is put beside it.
      const withBeside = () => [
        ...new Set([
          ...wanted,
          ...wanted.flatMap((label) =>
            targetOf(label).binary && targetOf(label).test === undefined ? withData(graph.targets, label) : [],
          ),
        ]),
      ];
      const before = new Set(made.keys());
      const { failures } = await supervise(options, async (signal, failed) => {
        const done = new Set<Label>();
        // Once more where functions have added to what is needed when a program runs.
        for (let more = withBeside(); more.length > 0; more = withBeside().filter((label) => !done.has(label))) {
          for (const label of more) done.add(label);
          await makeAll(more, signal, failed, putInPlace);
        }
      });
      const fresh = [...made.values()].filter((each) => !before.has(each.label));
      if (record !== undefined) await noteStanding(record, wanted);
      const targets = new Map<Label, BuiltTarget>();
      for (const label of asked) {
        const stands = standing.get(label);
        const there = made.get(label);
        if (stands !== undefined) {
          targets.set(label, builtTarget(madeBefore(label, stands), stands.binary));
        } else if (there !== undefined) targets.set(label, builtTarget(there));
      }
      return {
        targets,
        failures,
        ran: ranAmong(fresh),
        cached: standing.size + fresh.filter((each) => each.how === 'cached').length,
        fetched: fresh.filter((each) => each.fetched).length,
      };
    },

    async test(labels, options = {}) {
      const tests = [...new Set(labels)].filter((label) => targetOf(label).test !== undefined);
      const needs = new Map(tests.map((label) => [label, testDependencies(graph.targets, targetOf(label))]));
      const outcomes = new Map<Label, TestedTarget>();
      const before = new Set(made.keys());
      const { failures } = await supervise(options, async (signal, failed) => {
        const waiting = new Map<Label, number>();
        const dependants = new Map<Label, Label[]>();
        for (const label of tests) {
          const all = [...new Set([label, ...(needs.get(label) ?? [])])];
          waiting.set(label, all.length);
          for (const need of all) dependants.set(need, [...(dependants.get(need) ?? []), label]);
        }
        const running: Promise<void>[] = [];
        const start = async (label: Label): Promise<void> => {
          try {
            for (;;) {
              const more = testDependencies(graph.targets, targetOf(label)).filter((need) => !made.has(need));
              if (more.length === 0) break;
              await makeAll(more, signal, failed, async () => {});
              if (more.some((need) => !made.has(need))) return;
            }
            const run = (work: () => Promise<TestedTarget>) => slots.run(0, work);
            const outcome = await runTest(
              { shop, source, history, run },
              targetOf(label),
              made.get(label)?.artifacts ?? [],
              options.rerun === true,
              signal,
            );
            outcomes.set(label, outcome);
          } catch (error) {
            failed(label, error);
          }
        };
        await makeAll([...dependants.keys()], signal, failed, async (label) => {
          for (const test of dependants.get(label) ?? []) {
            const left = (waiting.get(test) ?? 0) - 1;
            waiting.set(test, left);
            if (left === 0) running.push(start(test));
          }
        });
        await Promise.all(running);
      });
      return {
        tests: new Map(tests.flatMap((label) => (outcomes.has(label) ? [[label, outcomes.get(label)!] as const] : []))),
        ran: ranAmong([...made.values()].filter((each) => !before.has(each.label))),
        failures,
      };
    },
  };
}

/** The order in which commands see them. */
function inOrder(artifacts: readonly Artifact[]): readonly Artifact[] {
  return artifacts.length < 2 ? artifacts : artifacts.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function wantedOf(target: Target): Wanted {
  const open = target.outputDirs !== undefined || target.optionalOuts !== undefined || target.postBuild !== undefined;
  return {
    paths: outputNames(target).map((name) => pathOf(target, name)),
    openIn: open ? target.package : false,
  };
}

function madeBefore(label: Label, stands: StandingOutputs): Omit<Made, 'fetched' | 'optional'> {
  return {
    label,
    get artifacts() {
      return stands.artifacts;
    },
    how: 'cached',
    why: undefined,
    seconds: 0,
  };
}

function ranAmong(made: readonly Made[]): BuildResult['ran'] {
  return made.filter(({ how }) => how === 'ran').map(({ label, why, seconds }) => ({ label, why: why ?? '', seconds }));
}

/** How many actions follow on each at most: what has the longest way ahead goes first. */
function heightsOf(order: readonly Label[], needs: ReadonlyMap<Label, readonly Label[]>): Map<Label, number> {
  const heights = new Map<Label, number>();
  for (const label of [...order].reverse()) {
    const height = heights.get(label) ?? 0;
    for (const need of needs.get(label) ?? []) heights.set(need, Math.max(heights.get(need) ?? 0, height + 1));
  }
  return heights;
}

/**
 * Whether other machines are asked for a target's result: not where it says that it is for this one, and a text or a group of
 * files is faster made than fetched.
 */
function isShared({ action, local }: Target): boolean {
  return local !== true && (action.kind === 'shell' || action.kind === 'builtin');
}
