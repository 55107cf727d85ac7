import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltFile, languageActions } from '../../build/index.ts';
import { findTarget, type Graph, type Label, type Role, resolvedDependencies, type Target } from '../../graph/index.ts';
import { debianPurl, type Module, modulePurl, packageUrl, type ResourceDescriptor } from '../../image/index.ts';
import { isPackage, packageOf } from '../building/package-target.ts';
import { licencesOfJar, licencesOfWheel } from './licences.ts';

/** What the graph knows of what went into a target from outside. */
export interface Ingredients {
  readonly modules: readonly Module[];
  /** Sums of .deb files by `name version architecture`. */
  readonly archives: ReadonlyMap<string, string>;
  /** All of it, as a provenance names it; sorted. */
  readonly materials: readonly ResourceDescriptor[];
  /** Identity of the compilers, by language. */
  readonly toolchains: Readonly<Record<string, string>>;
  /** Images that it stands on. */
  readonly bases: readonly Label[];
}

/**
 * Everything that a target's actions read, however far: what it is made of, without the tools and what is needed when it runs.
 *
 * @param built outputs of targets that are looked into for licences
 */
export async function ingredientsOf(
  graph: Graph,
  label: Label,
  built: (label: Label) => Promise<readonly BuiltFile[]>,
): Promise<Ingredients> {
  const targets = closure(graph, label);
  // The images of an index are what it is, and nothing that it stands on.
  const { action, deps } = findTarget(graph, label);
  const own = new Set([label, ...(action.kind === 'builtin' && action.name === 'image_index' ? deps : [])]);
  const wheels = new Set(targets.flatMap(wheelsOf));
  const modules: Module[] = [];
  const archives = new Map<string, string>();
  const materials = new Map<string, ResourceDescriptor>();
  for (const target of targets) {
    if (isPackage(target)) {
      const { suite, request } = packageOf(target);
      const { name, version, architecture, sha256 } = request;
      archives.set(`${name} ${version} ${architecture}`, sha256);
      const uri = debianPurl(request, { id: 'debian', version: suite });
      materials.set(uri, { name, uri, digest: { sha256 } });
      continue;
    }
    for (const base of await pinnedBases(graph, target, built)) materials.set(base.uri ?? '', base);
    const module = moduleOf(target, graph);
    // A wheel is told of by the library that is unpacked of it.
    if (module === undefined || wheels.has(target.label)) continue;
    modules.push({ ...module, licences: await licencesFor(module, target, built) });
    const uri = modulePurl(module);
    const digest = digestOf(module);
    materials.set(uri, { name: module.name, uri, ...(digest !== undefined && { digest }) });
  }
  const toolchains = await toolchainsOf(targets);
  modules.push(...standardLibrary(toolchains.go));
  return {
    modules: modules.sort((a, b) => (modulePurl(a) < modulePurl(b) ? -1 : 1)),
    archives,
    materials: [...materials].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, material]) => material),
    toolchains,
    bases: targets.filter((each) => isImage(each) && !own.has(each.label)).map((each) => each.label),
  };
}

/** Those that the target gives count, then those that the library states itself. */
async function licencesFor(
  { licences, ecosystem }: Module,
  { label }: Target,
  built: (label: Label) => Promise<readonly BuiltFile[]>,
): Promise<readonly string[]> {
  if (licences.length > 0) return licences;
  if (ecosystem === 'maven') return licencesOfJar(await built(label));
  return ecosystem === 'pypi' ? licencesOfWheel(await built(label)) : [];
}

const ingredientRoles: ReadonlySet<Role> = new Set(['srcs', 'deps', 'exported_deps']);

function closure(graph: Graph, label: Label): Target[] {
  const seen = new Set<Label>([label]);
  const waiting: Label[] = [label];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const each of resolvedDependencies(graph.targets, findTarget(graph, next), ingredientRoles)) {
      if (seen.has(each)) continue;
      seen.add(each);
      waiting.push(each);
    }
  }
  return [...seen].sort().flatMap((each) => graph.targets.get(each) ?? []);
}

function isImage({ action }: Target): boolean {
  return action.kind === 'builtin' && (action.name === 'image' || action.name === 'image_index');
}

/** What a target brings in from outside of the workspace; undefined where it brings nothing. */
function moduleOf(target: Target, graph: Graph): Module | undefined {
  const { action, label, licences = [], hashes } = target;
  const common = { licences, label };
  if (action.kind === 'builtin') {
    const config = action.config as Readonly<Record<string, unknown>> | null;
    const text = (key: string) => (typeof config?.[key] === 'string' ? (config[key] as string) : '');
    switch (action.name) {
      case 'maven_jar': {
        const [namespace = '', name = '', version = ''] = text('id').split(':');
        return { ...common, ecosystem: 'maven', namespace, name, version, sha256: text('sha256').toLowerCase() };
      }
      case 'python_wheel': {
        // From an address: the labels of the rule say what it is.
        const [, named, told] = target.labels.map((each) => /^(?:whl|pip):(.+?)==(.+)$/.exec(each)).find(Boolean) ?? [];
        const hashes = Array.isArray(config?.hashes) ? (config.hashes as string[]) : [];
        const sums = [...hashes, ...wheelsOf(target).flatMap((each) => graph.targets.get(each)?.hashes ?? [])];
        return {
          ...common,
          ecosystem: 'pypi',
          namespace: '',
          name: text('name') || named || target.name,
          version: text('version') || told || '',
          // Of several wheels that would do, nobody says which one was taken.
          sha256: sums.length === 1 ? plainSum(sums[0]!) : undefined,
        };
      }
      case 'go_repo':
      case 'go_mod_download': {
        const path = text('module');
        const slash = path.lastIndexOf('/');
        const goSum = text('sum');
        return {
          ...common,
          ecosystem: 'golang',
          namespace: slash < 0 ? '' : path.slice(0, slash),
          name: path.slice(slash + 1),
          version: text('version'),
          ...(/^h1:[A-Za-z0-9+/]{43}=$/.test(goSum) && { goSum }),
        };
      }
    }
    return undefined;
  }
  if (action.kind !== 'shell' || !fetchingRules.has(target.rule)) return undefined;
  // The rule writes the addresses, in quotes, into its command.
  const [, url] = /'(https?:\/\/[^']+)'/.exec(action.command) ?? [];
  const sha256 = hashes.map(plainSum).find((each) => each !== undefined);
  const name =
    url
      ?.replace(/[?#].*$/, '')
      .split('/')
      .at(-1) || target.name;
  return { ...common, ecosystem: 'generic', namespace: '', name, version: '', sha256, url };
}

/** Targets that give the wheels of a Python library. */
function wheelsOf({ action, srcs }: Target): Label[] {
  if (action.kind !== 'builtin' || action.name !== 'python_wheel') return [];
  return (srcs.named.wheel ?? []).flatMap((input) => (input.kind === 'label' ? [input.label] : []));
}

/** A SHA-256 sum as rules take it, in plain hex. */
function plainSum(text: string): string | undefined {
  const sum = text.replace(/^sha256:\s*/, '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(sum) ? sum : undefined;
}

/** Images of registries that a Dockerfile names: all of them by digest, or it would not have been built. */
async function pinnedBases(
  graph: Graph,
  { action, srcs }: Target,
  built: (label: Label) => Promise<readonly BuiltFile[]>,
): Promise<ResourceDescriptor[]> {
  const [input] = srcs.named.dockerfile ?? [];
  if (action.kind !== 'builtin' || action.name !== 'image' || input === undefined) return [];
  const path =
    input.kind === 'file'
      ? join(graph.workspace.root, input.path)
      : input.kind === 'label'
        ? (await built(input.label))[0]?.absolute
        : undefined;
  const text = path === undefined ? '' : await readFile(path, 'utf8');
  // Names may come through arguments.
  const args = JSON.stringify((action.config as { args?: unknown; build_args?: unknown } | null) ?? {});
  const lines = [...text.split('\n').filter((line) => !line.trimStart().startsWith('#')), args].join('\n');
  return [...lines.matchAll(/([a-z0-9][a-zA-Z0-9._:/-]*)@sha256:([0-9a-f]{64})/g)].map(
    ([, name = '', sha256 = '']) => ({
      name,
      uri: packageUrl({
        type: 'oci',
        name:
          name
            .replace(/:[^/]*$/, '')
            .split('/')
            .at(-1) ?? name,
        version: `sha256:${sha256}`,
        qualifiers: { repository_url: name.replace(/:[^/]*$/, '') },
      }),
      digest: { sha256 },
    }),
  );
}

const fetchingRules = new Set(['remote_file', 'http_archive', 'new_http_archive', 'github_repo', 'gitlab_repo']);

/** in-toto attestation v1, digest_set.md. */
function digestOf({ sha256, goSum }: Module): Readonly<Record<string, string>> | undefined {
  if (goSum !== undefined) return { dirHash: Buffer.from(goSum.slice('h1:'.length), 'base64').toString('hex') };
  return sha256 === undefined || sha256 === '' ? undefined : { sha256 };
}

/** A Go program has the standard library in it, whose vulnerabilities are told of under this name. */
function standardLibrary(toolchain: string | undefined): Module[] {
  const version = /\bgo([0-9]+(?:\.[0-9]+)+)/.exec(toolchain ?? '')?.[1];
  if (version === undefined) return [];
  return [{ ecosystem: 'golang', namespace: '', name: 'stdlib', version, licences: ['BSD-3-Clause'] }];
}

/** `go` -> `go1.26.8 linux/amd64 ...`: what src/build has as part of the keys of actions of that language. */
async function toolchainsOf(targets: readonly Target[]): Promise<Record<string, string>> {
  const identities = new Map<string, Set<string>>();
  for (const target of targets) {
    if (target.action.kind !== 'builtin') continue;
    const { name } = target.action;
    const [language = ''] = name.split('_');
    const key = languageActions[name]?.key;
    if (!['go', 'java'].includes(language) || key === undefined) continue;
    const identity = await key(target);
    // Nothing of the machine: a compiler that is a target is an input like any other.
    if (identity === '') continue;
    identities.set(language, (identities.get(language) ?? new Set()).add(identity));
  }
  // Several, where some are for other architectures or have C in them.
  return Object.fromEntries([...identities].map(([language, known]) => [language, [...known].sort().join('; ')]));
}
