import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuiltinAction, BuiltinActions, BuiltinRequest } from '../build/index.ts';
import type { Graph, Json, Label, Target } from '../graph/index.ts';
import {
  type BlobStore,
  type DebianSource,
  type Digest,
  debianLayerVersion,
  fetchPackages,
  type ImageConfig,
  type ImageFile,
  imageVersion,
  type LayerFile,
  machineArchitecture,
  makeDebianPackageLayer,
  makeImage,
  type PackageRequest,
} from '../image/index.ts';
import { checkManifests, formatBundle, type ManifestFile } from '../manifest/index.ts';
import type { Progress } from '../progress/index.ts';
import { ReleaseFault } from './fault.ts';

/**
 * The built-in actions that know images and manifests, for src/build, which knows neither.
 *
 * @param store opened when the first image is made: most commands make none
 */
export function releaseActions(graph: () => Graph, store: () => Promise<BlobStore>): BuiltinActions {
  return {
    debian_package: debianPackage(graph),
    debian_packages: debianPackages,
    image: image(graph, store),
    k8s_config: k8sConfig,
  };
}

function debianPackage(graph: () => Graph): BuiltinAction {
  // One call of the package client for all packages of a suite, at the first that is missing.
  const batches = new Map<string, Promise<void>>();
  const fetchAll = (suite: string, progress: Progress, signal: AbortSignal) => {
    let batch = batches.get(suite);
    if (batch === undefined) {
      const packages = [...graph().targets.values()]
        .filter(isPackage)
        .map(packageOf)
        .filter((each) => each.suite === suite)
        .map(({ request }) => request);
      batch = fetchPackages({ source: sourceOf(graph(), suite), packages, progress, signal }).then(
        () => {},
        // Each package then tells of its own trouble, and those that can be had are made.
        () => {},
      );
      batches.set(suite, batch);
    }
    return batch;
  };
  return {
    version: debianLayerVersion,
    async run({ target, outputFolder, progress, signal, update }) {
      const { suite, request } = packageOf(target);
      const [output] = target.namedOuts.layer ?? [];
      if (output === undefined) throw badRule(target, 'it has no output named layer');
      update('fetching packages');
      await fetchAll(suite, progress, signal);
      const path = join(outputFolder, output);
      await mkdir(dirname(path), { recursive: true });
      update(`unpacking ${request.name}`);
      await makeDebianPackageLayer({
        source: sourceOf(graph(), suite),
        package: request,
        place: target.place,
        output: path,
        progress,
        signal,
      });
    },
  };
}

function sourceOf({ workspace }: Graph, suite: string): DebianSource {
  const { mirror } = workspace.debian;
  return { suite, ...(mirror !== undefined && { mirror }) };
}

function isPackage({ action }: Target): boolean {
  return action.kind === 'builtin' && action.name === 'debian_package';
}

function packageOf(target: Target): { readonly suite: string; readonly request: PackageRequest } {
  const config = configOf(target);
  const size = config.size;
  if (typeof size !== 'number') throw badRule(target, 'size is not a number');
  return {
    suite: readText(config, 'suite', target),
    request: {
      name: readText(config, 'name', target),
      version: readText(config, 'version', target),
      architecture: readText(config, 'architecture', target),
      sha256: readText(config, 'sha256', target),
      size,
    },
  };
}

/** What was asked for, for `banksman lock debian`. */
const debianPackages: BuiltinAction = {
  version: '1',
  async run({ target, config, outputFolder }) {
    const path = join(outputFolder, onlyOutput(target));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${JSON.stringify(config, null, 2)}\n`);
  },
};

function image(graph: () => Graph, store: () => Promise<BlobStore>): BuiltinAction {
  return {
    version: imageVersion,
    key: () => machineArchitecture(),
    async run(request) {
      const { target, deps, outputFolder, update } = request;
      const config = configOf(target);
      update('putting the image together');
      const output = join(outputFolder, onlyOutput(target));
      await mkdir(dirname(output), { recursive: true });
      const base = config.base_image;
      await makeImage({
        store: await store(),
        output,
        base: typeof base === 'string' ? onlyFile(request, base as Label) : undefined,
        packages: deps.flatMap(({ label, named }) => {
          const dependency = graph().targets.get(label);
          // Groups of packages pass on what their members have.
          if (dependency === undefined || !isPackage(dependency)) return [];
          const { request: each } = packageOf(dependency);
          return (named.layer ?? []).map(({ absolute, sha256 }): LayerFile => {
            const digest: Digest = `sha256:${sha256}`;
            return { path: absolute, digest, createdBy: `debian ${each.name} ${each.version}` };
          });
        }),
        files: Object.entries(readRecord(config, 'files', target)).map(([destination, source]): ImageFile => {
          if (typeof source !== 'string') throw badRule(target, `files[${destination}] is not a text`);
          return { destination, source: fileOf(request, source) };
        }),
        users: usersOf(config, target),
        config: imageConfig(config, target),
      });
    },
  };
}

function usersOf(config: Config, target: Target): Record<string, number> {
  const users = Object.entries(readRecord(config, 'users', target));
  return Object.fromEntries(
    users.map(([name, id]) => {
      if (typeof id !== 'number') throw badRule(target, `users[${name}] is not a number`);
      return [name, id];
    }),
  );
}

function imageConfig(config: Config, target: Target): ImageConfig {
  const env = Object.entries(readRecord(config, 'env', target));
  return {
    entrypoint: readTexts(config, 'entrypoint', target),
    cmd: readTexts(config, 'cmd', target),
    env: Object.fromEntries(
      env.map(([name, value]) => {
        if (typeof value !== 'string') throw badRule(target, `env[${name}] is not a text`);
        return [name, value];
      }),
    ),
    user: readText(config, 'user', target),
    workdir: readText(config, 'workdir', target),
  };
}

/** A file of the package by its path in the workspace, or the one output of a label. */
function fileOf(request: BuiltinRequest, source: string): string {
  if (source.startsWith('//')) return onlyFile(request, source as Label);
  const laid = [...request.srcs.all, ...Object.values(request.srcs.named).flat()];
  const found = laid.find(({ input }) => input.kind === 'file' && input.path === source)?.files[0];
  if (found === undefined) throw badRule(request.target, `${source} is not among its sources`);
  return found.absolute;
}

function onlyFile(request: BuiltinRequest, label: Label): string {
  const [file, ...others] = request.outputsOf(label);
  if (file === undefined || others.length > 0) {
    throw badRule(request.target, `${label} has ${others.length + (file ? 1 : 0)} outputs, and one is needed`);
  }
  return file.absolute;
}

/** Checks the manifests when they are built, so that a mistake shows before anything is deployed, and in `banksman test //...`. */
const k8sConfig: BuiltinAction = {
  version: '1',
  async run({ target, srcs, outputFolder, progress }) {
    const config = configOf(target);
    const containers = readTexts(config, 'containers', target) as Label[];
    const owner = config.owner;
    const files: ManifestFile[] = [];
    for (const { path, absolute } of srcs.all.flatMap((input) => input.files)) {
      files.push({ path, source: decode(path, await readFile(absolute)) });
    }
    const { warnings } = checkManifests(files, { package: target.package, containers, place: target.place });
    for (const warning of warnings) progress.say(`warning: ${warning.message}`);
    const path = join(outputFolder, onlyOutput(target));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(
      path,
      formatBundle({
        format: 1,
        service: target.label,
        ...(typeof owner === 'string' && { owner }),
        containers,
        files,
      }),
    );
  },
};

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new ReleaseFault('release/not-text', `${path} is not UTF-8 text`, {
      place: { file: path },
      next: 'save it as UTF-8',
      cause,
    });
  }
}

function configOf(target: Target): Config {
  const { action } = target;
  const config = action.kind === 'builtin' ? action.config : undefined;
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw badRule(target, 'it has no config');
  return config as Config;
}

type Config = Readonly<Record<string, Json>>;

function readText(config: Config, key: string, target: Target): string {
  const value = config[key];
  if (typeof value !== 'string') throw badRule(target, `${key} is not a text`);
  return value;
}

function readTexts(config: Config, key: string, target: Target): string[] {
  const value = config[key];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string')) {
    throw badRule(target, `${key} is not a list of texts`);
  }
  return value;
}

function readRecord(config: Config, key: string, target: Target): Config {
  const value = config[key];
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRule(target, `${key} is not a dict`);
  return value as Config;
}

function onlyOutput(target: Target): string {
  const [output, ...others] = target.outs;
  if (output === undefined || others.length > 0) throw badRule(target, 'it must have one output');
  return output;
}

function badRule(target: Target, what: string): ReleaseFault {
  return new ReleaseFault('release/bad-rule', `${target.label} is not what ${target.rule} makes: ${what}`, {
    place: target.place,
    next: 'use the built-in rule, or give its action the same config',
  });
}
