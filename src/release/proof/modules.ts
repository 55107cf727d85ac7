import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltFile, languageActions } from '../../build/index.ts';
import { findTarget, type Graph, type Label, type Role, resolvedDependencies, type Target } from '../../graph/index.ts';
import {
  debianPurl,
  type Module,
  modulePurl,
  packageUrl,
  type ResourceDescriptor,
  sumsOfIntegrity,
} from '../../image/index.ts';
import { isPackage, packageOf } from '../building/package-target.ts';
import { licencesOfJar, licencesOfWheel } from './licences.ts';
import { npmPackages } from './npm.ts';
import { plainSum } from './sums.ts';
import { type Looks, wheelSums, wheelsOf } from './wheels.ts';

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
 * @param looks how outputs of targets are had, which are looked into for licences and sums
 */
export async function ingredientsOf(graph: Graph, label: Label, looks: Looks): Promise<Ingredients> {
  const { built } = looks;
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
      const uri = debianPurl(request, { id: 'debian', version: debianVersion(suite) });
      materials.set(uri, { name, uri, digest: { sha256 } });
      continue;
    }
    for (const base of await pinnedBases(graph, target, built)) materials.set(base.uri ?? '', base);
    // A wheel is told of by the library that is unpacked of it.
    if (wheels.has(target.label)) continue;
    for (const module of await modulesOf(target, graph, looks)) {
      modules.push(module);
      for (const material of materialsOf(module)) materials.set(material.uri ?? '', material);
    }
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

/** What a target brings in from outside of the workspace. */
async function modulesOf(target: Target, graph: Graph, looks: Looks): Promise<Module[]> {
  const module = moduleOf(target);
  if (module === undefined) return npmPackages(target, looks.built);
  const sums = module.ecosystem === 'pypi' ? await wheelSums(target, graph, looks) : {};
  return [{ ...module, ...sums, licences: await licencesFor(module, target, looks.built) }];
}

/** As a provenance names it: by its archives where it came in several. */
function materialsOf(module: Module): ResourceDescriptor[] {
  if (module.archives !== undefined)
    return module.archives.map((archive) => ({
      name: archive.name,
      uri: modulePurl(module, archive),
      digest: { sha256: archive.sha256 },
    }));
  const digest = digestOf(module);
  return [{ name: module.name, uri: modulePurl(module), ...(digest !== undefined && { digest }) }];
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

/** The one thing that most of such targets bring in; undefined where a target brings nothing, or many. */
function moduleOf(target: Target): Module | undefined {
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
        return {
          ...common,
          ecosystem: 'pypi',
          namespace: '',
          name: text('name') || named || target.name,
          version: text('version') || told || '',
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
function digestOf({ sha256, goSum, integrity = '' }: Module): Readonly<Record<string, string>> | undefined {
  if (goSum !== undefined) return { dirHash: Buffer.from(goSum.slice('h1:'.length), 'base64').toString('hex') };
  if (sha256 !== undefined && sha256 !== '') return { sha256 };
  const sums = sumsOfIntegrity(integrity);
  return sums.length === 0
    ? undefined
    : Object.fromEntries(sums.map(({ alg, content }) => [alg.toLowerCase().replace('-', ''), content]));
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

/** Numbers of Debian's releases, as os-release of an image names them (`VERSION_ID`); those that have none yet go by their name. */
const debianReleases: Readonly<Record<string, string>> = {
  buster: '10',
  bullseye: '11',
  bookworm: '12',
  trixie: '13',
};

/** So that provenance and bill of materials call a package by the same URL. */
function debianVersion(suite: string): string {
  return debianReleases[suite] ?? suite;
}
