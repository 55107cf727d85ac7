import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { type Input, type Label, nameIn, providedFor, type SumAlgorithm, type Target } from '../graph/index.ts';
import type { Progress, Task } from '../progress/index.ts';
import { type Artifact, artifactIdentity } from './artifact.ts';
import type { Cache } from './cache.ts';
import { collectOne, collectOutputs, exists } from './collect.ts';
import { execute } from './execute.ts';
import { BuildFault } from './fault.ts';
import { type ActionInputs, laidPaths, type Resolved, type ResolvedInputs } from './inputs.ts';
import { checkHashes } from './locked-sums.ts';
import { lastLines } from './log.ts';
import { type FoundOutput, inOutputDirs, optionalOutputs, outputFolders } from './open-outputs.ts';
import type { RemoteCache } from './remote/remote-cache.ts';
import { type Sandbox, type Shown, scratchMount, shownFile } from './sandbox.ts';
import { makeScratch, type Scratch, toolsFolder } from './scratch.ts';
import { type OpenSecrets, openSecrets } from './secrets.ts';
import { describeSource, linkOf, sourceInPlace } from './source.ts';
import { inputKey, outputNames, pathOf } from './target.ts';
import { resolveTool } from './tool.ts';
import type { BuiltFile, BuiltinAction, LaidInputs, ToolOutput, ToolRequest } from './types.ts';
import { actionEnvironment, baseEnvironment, type Layout, substitute } from './variables.ts';

/** What all actions of a builder share. */
export interface Workshop {
  /** Where sources lie. */
  readonly workspaceRoot: string;
  /** Where a source file is on the disk. */
  readonly placeOf: (path: string) => string;
  readonly outputRoot: string;
  /** For outputs that are not whole yet, on the same disk. */
  readonly stagingFolder: string;
  readonly scratchFolder: string;
  /** Parent of all cache folders. */
  readonly cacheRoot: string;
  readonly cache: Cache;
  readonly progress: Progress;
  /** Algorithms by which targets lock their outputs. */
  readonly sums: readonly SumAlgorithm[];
  sandbox(): Promise<Sandbox>;
  /** Results of other machines; undefined where there are none. */
  remote(): Promise<RemoteCache | undefined>;
  /** Where results of this machine go, if they may. */
  sharing(): Promise<RemoteCache | undefined>;
  target(label: Label): Target | undefined;
}

/** What a run of an action has made. */
export interface Made {
  readonly outputs: readonly Artifact[];
  readonly optional?: readonly Artifact[];
  readonly printed?: string;
  readonly found?: readonly string[];
}

/** What beside its inputs an action is told. */
export interface Told {
  /** The action's key: `$RULE_HASH`. */
  readonly key: string;
  /** Content of `$STAMP_FILE`. */
  readonly stampFile?: string | undefined;
  /**
   * Hears what the action has printed and what came out of its `output_dirs`, before outputs are collected, and gives the target
   * as it then is.
   */
  readonly grow?: ((printed: string, found: readonly string[]) => Target) | undefined;
}

/** UTF-16 code units of standard output that a `post_build` function may be given. */
const mostPrinted = 16 * 1024 * 1024;

/** Seconds, where a target does not say. */
export const defaultTimeout = 600;

/**
 * Runs a target's action in a scratch folder of its own and takes its outputs into the cache.
 *
 * @throws BuildFault; the signal's reason when aborted
 */
export async function runAction(
  shop: Workshop,
  target: Target,
  inputs: ActionInputs,
  builtin: BuiltinAction | undefined,
  told: Told,
  task: Task,
  signal: AbortSignal,
): Promise<Made> {
  const scratch = await makeScratch(shop.scratchFolder, shop.placeOf, shop.cache.blobs);
  try {
    const made = await runIn(shop, scratch, target, inputs, builtin, told, task, signal);
    const damaged = await scratch.damaged();
    if (damaged.length > 0) {
      throw new BuildFault(
        'build/action-failed',
        `the action of ${target.label} wrote to its inputs: ${damaged.join(', ')}`,
        {
          place: target.place,
          next: 'have it write to a copy',
        },
      );
    }
    await checkHashes(target, made.outputs, shop.cache.blobs, shop.sums);
    return made;
  } finally {
    await scratch.remove();
  }
}

async function runIn(
  shop: Workshop,
  scratch: Scratch,
  target: Target,
  inputs: ActionInputs,
  builtin: BuiltinAction | undefined,
  told: Told,
  task: Task,
  signal: AbortSignal,
): Promise<Made> {
  const { action } = target;
  const { blobs } = shop.cache;
  if (action.kind === 'text') {
    const [name = ''] = outputNames(target);
    const path = join(scratch.root, pathOf(target, name));
    await mkdir(dirname(path), { recursive: true });
    const text = substitute(action.content, target, layoutOf(shop, target, inputs, scratchMount), 'content');
    await writeFile(path, text, { mode: target.binary ? 0o755 : 0o644 });
    const grown = told.grow?.('', []) ?? target;
    const outputs = await collectOutputs(grown, join(scratch.root, target.package), scratch.root, blobs);
    return { outputs, ...(told.grow !== undefined && { printed: '' }) };
  }
  if (action.kind === 'filegroup') return { outputs: await collectGroup(shop, scratch, target, inputs) };
  const inPlace = builtin?.readsInPlace === true ? sourcesInPlace(shop, inputs.srcs) : undefined;
  await layOutInputs(scratch, inputs, inPlace);
  if (builtin?.toolsOnDemand !== true) await layOutTools(scratch, inputs);
  if (builtin !== undefined) {
    const outputFolder = join(scratch.root, '.out');
    await mkdir(outputFolder, { recursive: true });
    for (const name of outputNames(target)) await mkdir(dirname(join(outputFolder, name)), { recursive: true });
    await runBuiltin(shop, scratch, target, inputs, inPlace, builtin, outputFolder, task, signal);
    const grown = told.grow?.('', []) ?? target;
    const outputs = await collectOutputs(grown, outputFolder, scratch.root, blobs);
    return { outputs, ...(told.grow !== undefined && { printed: '' }) };
  }
  const secrets = await openSecrets(target);
  const outs = await outputPlaces(target, scratch);
  for (const folder of outputFolders(target)) await mkdir(dirname(join(scratch.root, folder)), { recursive: true });
  const printed = await runCommand(shop, scratch, target, inputs, outs, told, secrets, task, signal);
  const found = await inOutputDirs(target, scratch);
  const foundNames = found.map(({ name }) => name);
  const grown = told.grow?.(printed, foundNames) ?? target;
  const places = new Map(found.map(({ name, path }) => [name, path]));
  for (const name of outputNames(grown)) {
    if (!places.has(name)) places.set(name, await madeAt(name, outs.get(name) ?? name, grown, scratch));
  }
  const all = [...places].map(([name, path]) => ({ name, path }));
  const optional = await optionalOutputs(grown, scratch, all);
  if (secrets !== undefined) await refuseSecrets(target, secrets, [...all, ...optional]);
  const take = ({ name, path }: FoundOutput) => collectOne(target, path, pathOf(target, name), scratch.root, blobs);
  const isInput = (path: string) => scratch.isInput(path);
  const outputs = await collectOutputs(grown, scratch.root, scratch.root, blobs, places, isInput);
  const declared = new Set(outputNames(grown));
  for (const each of found) if (!declared.has(each.name)) outputs.push(await take(each));
  const beside: Artifact[] = [];
  for (const each of optional) beside.push(await take(each));
  return {
    outputs,
    ...(target.optionalOuts !== undefined && { optional: beside }),
    ...(told.grow !== undefined && { printed }),
    ...(found.length > 0 && { found: foundNames }),
  };
}

/**
 * Where a command is to write its outputs, relative to its scratch folder: by their names, as in Please. Where an input lies there
 * already, with `.out` behind.
 */
async function outputPlaces(target: Target, scratch: Scratch): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  await mkdir(join(scratch.root, target.package), { recursive: true });
  for (const name of outputNames(target)) {
    let place = name;
    while (await exists(join(scratch.root, place))) place = `${place}.out`;
    places.set(name, place);
  }
  for (const [name, place] of places) {
    await mkdir(dirname(join(scratch.root, place)), { recursive: true });
    await mkdir(dirname(join(scratch.root, target.package, name)), { recursive: true });
  }
  return places;
}

/** Where a command has left an output: where it was to, or below its package, where what it is made of lies, too. */
async function madeAt(name: string, place: string, target: Target, scratch: Scratch): Promise<string> {
  const wanted = join(scratch.root, place);
  if (await exists(wanted)) return wanted;
  const beside = join(scratch.root, target.package, name);
  return !scratch.isInput(beside) && (await exists(beside)) ? beside : wanted;
}

/** Sources that are read where they lie, by path. */
type InPlace = ReadonlyMap<string, BuiltFile>;

function sourcesInPlace({ placeOf }: Workshop, srcs: ResolvedInputs): InPlace {
  const found = new Map<string, BuiltFile>();
  for (const { what } of srcs.all) {
    if (what.kind !== 'source') continue;
    const file = sourceInPlace(placeOf(what.path), what.path, what.hash);
    if (file !== undefined) found.set(what.path, file);
  }
  return found;
}

async function layOutInputs(scratch: Scratch, inputs: ActionInputs, inPlace?: InPlace): Promise<void> {
  for (const { what } of inputs.srcs.all) {
    if (what.kind !== 'source' || inPlace?.has(what.path) !== true) await layResolved(scratch, what);
  }
  for (const { label, artifacts } of inputs.deps) {
    for (const artifact of artifacts) await scratch.addArtifact(artifact, '', label);
  }
}

async function layOutTools(scratch: Scratch, inputs: ActionInputs): Promise<void> {
  for (const { what } of inputs.tools.all) await layResolved(scratch, what, toolsFolder);
  for (const what of inputs.toolData) await layResolved(scratch, what, toolsFolder);
}

export async function layResolved(scratch: Scratch, what: Resolved, below = ''): Promise<void> {
  if (what.kind === 'source') await scratch.addSource(what.path, below === '' ? what.path : `${below}/${what.path}`);
  else if (what.kind === 'outputs')
    for (const artifact of what.artifacts) await scratch.addArtifact(artifact, below, what.label);
}

/**
 * The outputs of a filegroup are its inputs, in the group's own package: sources are taken into the cache, outputs are there.
 *
 * @throws BuildFault build/bad-output where two of them have the same name
 */
async function collectGroup(
  shop: Workshop,
  scratch: Scratch,
  target: Target,
  inputs: ActionInputs,
): Promise<Artifact[]> {
  const found = new Map<string, Artifact>();
  const add = (artifact: Artifact) => {
    const before = found.get(artifact.path);
    if (before !== undefined && artifactIdentity(before) !== artifactIdentity(artifact)) {
      throw new BuildFault('build/bad-output', `${target.label} groups two files named ${artifact.path}`, {
        place: target.place,
        next: 'make two groups of them, or give one of the files another name',
      });
    }
    found.set(artifact.path, artifact);
  };
  for (const { what } of inputs.srcs.all) {
    if (what.kind === 'outputs') for (const artifact of regrouped(shop, target, what)) add(artifact);
    if (what.kind !== 'source') continue;
    await scratch.addSource(what.path);
    const path = join(scratch.root, what.path);
    add(await collectOne(target, path, what.path, scratch.root, shop.cache.blobs));
  }
  return [...found.values()];
}

/** Outputs of another target, or of what that provides, as a group of files has them. */
function regrouped(
  shop: Workshop,
  target: Target,
  { label, artifacts }: Extract<Resolved, { readonly kind: 'outputs' }>,
): Artifact[] {
  const of = shop.target(label);
  const owners = of === undefined ? [] : [of.label, ...providedFor(target, 'srcs', of)];
  const packages = owners.map((each) => shop.target(each)?.package ?? '').sort((a, b) => b.length - a.length);
  return artifacts.map((artifact) => {
    const owner = packages.find((each) => artifact.path.startsWith(`${each}/`)) ?? '';
    return { ...artifact, path: pathOf(target, nameIn(owner, artifact.path)) };
  });
}

async function runCommand(
  shop: Workshop,
  scratch: Scratch,
  target: Target,
  inputs: ActionInputs,
  outs: ReadonlyMap<string, string>,
  told: Told,
  secrets: OpenSecrets | undefined,
  task: Task,
  signal: AbortSignal,
): Promise<string> {
  if (target.action.kind !== 'shell') return '';
  const sandbox = await shop.sandbox();
  const root = sandbox.mountFor(scratch.root);
  const layout = layoutOf(shop, target, inputs, root, outs);
  const temporary = join(root, scratch.temporary.slice(scratch.root.length + 1));
  const { stampFile } = told;
  const stampName = `.stamp_${target.name}`;
  if (stampFile !== undefined) await scratch.addText(stampName, stampFile);
  if (target.srcListFiles) await writeSourceLists(scratch, layout);
  const env = {
    ...actionEnvironment(target, layout, temporary, told.key),
    ...(stampFile !== undefined && { STAMP_FILE: stampName, STAMP: told.key }),
    ...secrets?.env(root),
  };
  const command = substitute(target.action.command, target, layout);
  const shell = await resolveTool('bash');
  const confined = sandbox.confine({
    program: shell.path,
    args: shellArguments(command, target.exitOnError !== false),
    scratch: scratch.root,
    mount: root,
    folder: root,
    env,
    network: !target.sandbox,
    readable: [
      ...programFolders(inputs.tools),
      ...systemFiles(root, inputs.srcs, inputs.tools),
      ...(secrets?.shown(root) ?? []),
    ],
    writable: [],
  });
  const timeout = target.timeout ?? defaultTimeout;
  const log = await logFile(shop, target, 'log');
  const hear = target.progress && progressOf(task);
  const hide = secrets?.hide;
  const keep = told.grow === undefined ? undefined : mostPrinted;
  const done = await execute({ ...confined, env, timeout: timeout * 1000, signal, log, hide, hear, keep });
  if (done.timedOut) throw timedOut(target, timeout, done.text, log.slice(shop.workspaceRoot.length + 1));
  if (done.code === 0) {
    if (keep === undefined || !done.cut) return done.stdout;
    throw new BuildFault('build/action-failed', `the action of ${target.label} printed too much for post_build`, {
      place: target.place,
      next: `let it print no more than ${keep / 1024 / 1024} MiB, and write the rest to a file`,
    });
  }
  const how = done.code === undefined ? `was ended by ${done.endedBy}` : `failed with exit code ${done.code}`;
  throw new BuildFault('build/action-failed', `the action of ${target.label} ${how}`, {
    place: target.place,
    notes: done.text.trim() === '' ? ['it printed nothing'] : [lastLines(done.text)],
    next: `see all that it printed in ${log.slice(shop.workspaceRoot.length + 1)}`,
  });
}

/** How bash runs a command. */
export function shellArguments(command: string, stopAtError: boolean): string[] {
  return ['--noprofile', '--norc', stopAtError ? '-euo' : '-uo', 'pipefail', '-c', `umask 022\n${command}`];
}

/** Shows how far an action says it is: `[ 42%]`, as make and its kin print it. */
function progressOf(task: Task): (text: string) => void {
  return (text) => {
    const last = [...text.matchAll(/\[ *([0-9]{1,3})%\]/g)].at(-1)?.[1];
    if (last !== undefined) task.update(`${last} %`);
  };
}

/** For as many sources as an environment can't hold: their names in files, one a line. */
async function writeSourceLists(scratch: Scratch, { srcs, srcsNamed }: Layout): Promise<void> {
  await scratch.addText('_plz/srcs', srcs.join('\n'));
  const [only] = srcs;
  if (only !== undefined && srcs.length === 1) await scratch.addText('_plz/src', only);
  for (const [name, paths] of Object.entries(srcsNamed)) {
    await scratch.addText(`_plz/named_srcs/${name}`, paths.join('\n'));
  }
}

/** Outputs are shared, and kept for long. @throws BuildFault build/secret-in-output */
async function refuseSecrets(target: Target, secrets: OpenSecrets, outputs: readonly FoundOutput[]): Promise<void> {
  for (const { name, path } of outputs) {
    for (const file of await filesAt(path)) {
      if (!(await secrets.isIn(file))) continue;
      throw new BuildFault('build/secret-in-output', `the output ${name} of ${target.label} holds a secret`, {
        place: target.place,
        notes: [`it is in ${file.slice(path.length - name.length)}`],
        next: 'keep it out of the output, which goes to whoever has the cache; what is no secret belongs to system_srcs',
      });
    }
  }
}

async function filesAt(path: string): Promise<string[]> {
  const info = await lstat(path).catch(() => undefined);
  if (info === undefined || !info.isDirectory()) return info?.isFile() === true ? [path] : [];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Files of the system that a command has to see. @param root where it sees its scratch folder */
export function systemFiles(root: string, ...inputs: readonly ResolvedInputs[]): Shown[] {
  return inputs.flatMap(({ all }) =>
    all.flatMap(({ what }) => (what.kind === 'system' ? [shownFile(what.path, root)] : [])),
  );
}

export function timedOut(target: Target, seconds: number, text: string, log: string): BuildFault {
  return new BuildFault('build/timed-out', `${target.label} took longer than ${seconds} s and was stopped`, {
    place: target.place,
    notes: text.trim() === '' ? [] : [lastLines(text)],
    next: `see ${log}; if it needs longer, raise its timeout`,
  });
}

/** `banksman-out/log/<package>/<name>.<kind>`, from which what was there before is removed. */
export async function logFile(shop: Workshop, target: Target, kind: string): Promise<string> {
  const path = join(shop.outputRoot, 'log', target.package, `${target.name}.${kind}`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '');
  return path;
}

/** What tools outside of the system's folders need to be seen: the folder of the tool's whole installation. */
export function programFolders(tools: ResolvedInputs): string[] {
  const folders = new Set<string>();
  for (const { what } of tools.all) {
    if (what.kind !== 'program') continue;
    for (const path of [what.tool.path, what.tool.realPath]) {
      if (/^\/(usr|bin|sbin|lib\w*|opt|etc)\//.test(path)) continue;
      const folder = dirname(path);
      folders.add(folder.endsWith('/bin') ? dirname(folder) : folder);
    }
  }
  return [...folders];
}

/** @param outs where outputs are, by name and relative to the root; below the target's package where there is none */
export function layoutOf(
  shop: Workshop,
  target: Target,
  inputs: ActionInputs,
  root: string,
  outs: ReadonlyMap<string, string> = new Map(),
): Layout {
  const paths = (what: Resolved) => laidPaths(what, root);
  const toolPaths = (what: Resolved) =>
    paths(what).map((path) => (isAbsolute(path) ? path : join(root, toolsFolder, path)));
  const srcs = inputs.srcs.all.flatMap(({ what }) => paths(what));
  return {
    root,
    srcs,
    srcsNamed: groups(inputs.srcs, paths),
    tools: inputs.tools.all.flatMap(({ what }) => toolPaths(what)),
    toolsNamed: groups(inputs.tools, toolPaths),
    data: [],
    dataNamed: {},
    out: (name) => outs.get(name) ?? pathOf(target, name),
    locate(label, named) {
      const found = locateOutputs(shop, target, inputs, label, named);
      if (found === undefined) return undefined;
      const { of, isTool, artifacts, inside } = found;
      const names = inside === undefined ? artifacts.map(({ path }) => path) : [inside];
      const below = isTool ? `${join(root, toolsFolder)}/` : '';
      return {
        paths: names.map((name) => below + name),
        folder: below + (of.package === '' ? '.' : of.package),
        outputs: names,
        sum: sum(artifacts),
        target: of,
      };
    },
    program(name) {
      const found = inputs.tools.all.find(({ what }) => what.kind === 'program' && what.tool.name === name);
      return found === undefined ? undefined : paths(found.what)[0];
    },
    sumOfFile(path) {
      const found = inputs.srcs.all.find(({ what }) => what.kind === 'source' && what.path === path);
      return found?.what.kind === 'source' ? found.what.hash : undefined;
    },
  };
}

interface LocatedOutputs {
  readonly of: Target;
  readonly isTool: boolean;
  readonly artifacts: readonly Pick<Artifact, 'path' | 'sha256'>[];
  readonly inside?: string | undefined;
}

/** What a label in a command stands for: one of the target's inputs, or the target itself. */
function locateOutputs(
  shop: Workshop,
  target: Target,
  inputs: ActionInputs,
  label: Label,
  named: string | undefined,
): LocatedOutputs | undefined {
  const of = label === target.label ? target : shop.target(label);
  if (of === undefined) return undefined;
  if (of === target) {
    const names = named === undefined ? outputNames(target) : target.namedOuts[named]?.toSorted();
    const artifacts = names?.map((name) => ({ path: pathOf(target, name), sha256: '' }));
    return artifacts && { of, isTool: false, artifacts };
  }
  const key = inputKey({ kind: 'label', label, ...(named !== undefined && { named }) });
  for (const { all } of [inputs.srcs, inputs.tools]) {
    for (const { input, what } of all) {
      if (what.kind !== 'outputs' || inputKey(input) !== key) continue;
      return { of, isTool: all === inputs.tools.all, artifacts: what.artifacts, inside: what.inside };
    }
  }
  // Of one that provides something for the target, what it provides.
  const found = providedFor(target, 'deps', of).map((each) =>
    inputs.deps.find((dependency) => dependency.label === each),
  );
  if (found.length === 0 || found.includes(undefined)) return undefined;
  const groups = found.map((dependency) => (named === undefined ? dependency?.artifacts : dependency?.named[named]));
  if (groups.includes(undefined)) return undefined;
  return { of, isTool: false, artifacts: groups.flatMap((group) => group ?? []) };
}

function sum(artifacts: readonly Pick<Artifact, 'path' | 'sha256'>[]): string {
  const [only] = artifacts;
  if (only !== undefined && artifacts.length === 1) return only.sha256;
  return createHash('sha256')
    .update(artifacts.map(({ path, sha256 }) => `${sha256} ${path}\n`).join(''))
    .digest('hex');
}

export function groups(
  inputs: ResolvedInputs,
  paths: (what: Resolved) => readonly string[],
): Record<string, readonly string[]> {
  return Object.fromEntries(
    Object.entries(inputs.named).map(([name, group]) => [name, group.flatMap(({ what }) => paths(what))]),
  );
}

async function runBuiltin(
  shop: Workshop,
  scratch: Scratch,
  target: Target,
  inputs: ActionInputs,
  inPlace: InPlace | undefined,
  builtin: BuiltinAction,
  outputFolder: string,
  task: Task,
  signal: AbortSignal,
): Promise<void> {
  const config = target.action.kind === 'builtin' ? target.action.config : null;
  const file = (artifact: Artifact, below = ''): BuiltFile => ({
    path: artifact.path,
    absolute: join(scratch.root, below, artifact.path),
    kind: artifact.kind,
    sha256: artifact.sha256,
    executable: artifact.kind === 'file' && artifact.executable,
  });
  const files = async (what: Resolved, below: string): Promise<BuiltFile[]> => {
    if (what.kind === 'outputs' && what.inside !== undefined) {
      const [folder] = what.artifacts;
      const absolute = join(scratch.root, below, what.inside);
      return [{ path: what.inside, absolute, kind: 'file', sha256: folder?.sha256 ?? '', executable: true }];
    }
    if (what.kind === 'outputs') return what.artifacts.map((artifact) => file(artifact, below));
    if (what.kind === 'source') {
      const there = below === '' ? inPlace?.get(what.path) : undefined;
      if (there !== undefined) return [there];
      const link = linkOf(what.hash);
      const found = await describeSource(join(scratch.root, below, what.path), what.path);
      return [{ ...found, ...(link !== undefined && { link }) }];
    }
    if (what.kind === 'system') return [await describeSource(what.absolute, what.path)];
    const { name, path, identity } = what.tool;
    return [{ path: name, absolute: path, kind: 'file', sha256: identity, executable: true }];
  };
  const laid = async (resolved: ResolvedInputs, below = ''): Promise<LaidInputs> => {
    const known = new Map<string, BuiltFile[]>();
    for (const { input, what } of resolved.all) known.set(inputKey(input), await files(what, below));
    const pick = ({ input }: { input: Input }) => ({ input, files: known.get(inputKey(input)) ?? [] });
    return {
      all: resolved.all.map(pick),
      named: Object.fromEntries(Object.entries(resolved.named).map(([name, group]) => [name, group.map(pick)])),
    };
  };
  const srcs = await laid(inputs.srcs);
  const tools = await laid(inputs.tools, toolsFolder);
  const deps = inputs.deps.map(({ label, direct, artifacts, named }) => ({
    label,
    direct,
    files: artifacts.map((artifact) => file(artifact)),
    named: Object.fromEntries(
      Object.entries(named).map(([name, group]) => [name, group.map((artifact) => file(artifact))]),
    ),
  }));
  await builtin.run({
    target,
    config,
    srcs,
    tools,
    deps,
    outputFolder,
    temporaryFolder: scratch.temporary,
    cacheFolder: shop.cacheRoot,
    signal,
    progress: shop.progress,
    update: (text) => task.update(text),
    outputsOf(label) {
      for (const { input, files: of } of [...srcs.all, ...tools.all]) {
        if (input.kind === 'label' && input.label === label) return of;
      }
      const dependency = deps.find((each) => each.label === label);
      if (dependency !== undefined) return dependency.files;
      throw new BuildFault('build/undeclared-input', `${target.label} uses ${label}, which is not among its inputs`, {
        place: target.place,
        next: `add it to the srcs or deps of ${target.label}`,
      });
    },
    layOutTools: () => layOutTools(scratch, inputs),
    // Most of those that run no program need no sandbox.
    run: async (request) => runTool(shop, await shop.sandbox(), scratch, target, request, signal),
  });
}

async function runTool(
  shop: Workshop,
  sandbox: Sandbox,
  scratch: Scratch,
  target: Target,
  request: ToolRequest,
  signal: AbortSignal,
): Promise<ToolOutput> {
  const tool = isAbsolute(request.program) ? undefined : await resolveTool(request.program);
  const program = tool?.path ?? request.program;
  const env = { ...baseEnvironment(target, scratch.root, scratch.temporary), ...request.env };
  const confined = sandbox.confine({
    program,
    args: request.args,
    scratch: scratch.root,
    mount: scratch.root,
    folder: request.folder ?? scratch.temporary,
    env,
    network: request.network === true && !target.sandbox,
    readable: request.readable ?? [],
    writable: request.writable ?? [],
  });
  const timeout = request.timeout ?? target.timeout ?? defaultTimeout;
  const done = await execute({ ...confined, env, timeout: timeout * 1000, signal });
  const name = program.slice(program.lastIndexOf('/') + 1);
  if (done.timedOut) throw timedOut(target, timeout, done.text, `what ${name} printed above`);
  if (done.code === 0) return { stdout: done.stdout, text: done.text };
  // Paths of the scratch folder say nothing to a person, those of the workspace do.
  const text = done.text.replaceAll(`${scratch.root}/`, '');
  const log = await logFile(shop, target, 'log');
  await writeFile(log, text);
  const how = done.code === undefined ? `was ended by ${done.endedBy}` : `failed with exit code ${done.code}`;
  throw new BuildFault('build/action-failed', `${target.label} can't be built: ${name} ${how}`, {
    place: target.place,
    notes: text.trim() === '' ? [`${name} printed nothing`] : [lastLines(text)],
    next: `correct what ${name} complains of; all of it is in ${log.slice(shop.workspaceRoot.length + 1)}`,
  });
}
