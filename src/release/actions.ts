import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuiltinAction, BuiltinActions } from '../build/index.ts';
import type { Graph, Label } from '../graph/index.ts';
import {
  type BlobStore,
  type DebianSource,
  debianLayerVersion,
  fetchPackages,
  makeDebianPackageLayer,
} from '../image/index.ts';
import { checkManifests, formatBundle, type ManifestFile } from '../manifest/index.ts';
import type { Progress } from '../progress/index.ts';
import { badRule, configOf, onlyOutput, readTexts } from './action-config.ts';
import { ReleaseFault } from './fault.ts';
import { imageAction, indexAction } from './image-action.ts';
import { isPackage, packageOf } from './package-target.ts';

/**
 * The built-in actions that know images and manifests, for src/build, which knows neither.
 *
 * @param store opened when the first image is made: most commands make none
 */
export function releaseActions(graph: () => Graph, store: () => Promise<BlobStore>): BuiltinActions {
  return {
    debian_package: debianPackage(graph),
    debian_packages: debianPackages,
    image: imageAction(graph, store),
    image_index: indexAction(store),
    k8s_config: k8sConfig,
  };
}

function debianPackage(graph: () => Graph): BuiltinAction {
  // One call of the package client for all packages of a suite and architecture, at the first that is missing.
  const batches = new Map<string, Promise<void>>();
  const fetchAll = (suite: string, architecture: string, progress: Progress, signal: AbortSignal) => {
    const key = `${suite} ${architecture}`;
    let batch = batches.get(key);
    if (batch === undefined) {
      const packages = [...graph().targets.values()]
        .filter(isPackage)
        .map(packageOf)
        .filter((each) => each.suite === suite && each.lockArchitecture === architecture)
        .map(({ request }) => request);
      batch = fetchPackages({ source: sourceOf(graph(), suite), packages, progress, signal }).then(
        () => {},
        // Each package then tells of its own trouble, and those that can be had are made.
        () => {},
      );
      batches.set(key, batch);
    }
    return batch;
  };
  return {
    version: debianLayerVersion,
    async run({ target, outputFolder, progress, signal, update }) {
      const { suite, lockArchitecture, request } = packageOf(target);
      const [output] = target.namedOuts.layer ?? [];
      if (output === undefined) throw badRule(target, 'it has no output named layer');
      update('fetching packages');
      await fetchAll(suite, lockArchitecture, progress, signal);
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

/** What was asked for, for `banksman lock debian`. */
const debianPackages: BuiltinAction = {
  version: '1',
  async run({ target, config, outputFolder }) {
    const path = join(outputFolder, onlyOutput(target));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${JSON.stringify(config, null, 2)}\n`);
  },
};

/** Checks the manifests when they are built, so that a mistake shows before anything is deployed, and in `banksman test //...`. */
const k8sConfig: BuiltinAction = {
  version: '3',
  async run({ target, srcs, outputFolder, progress }) {
    const config = configOf(target);
    const containers = readTexts(config, 'containers', target) as Label[];
    const { owner, kind } = config;
    const after = config.after === undefined ? [] : (readTexts(config, 'after', target) as Label[]);
    if (kind !== undefined && kind !== 'service' && kind !== 'infrastructure') {
      throw badRule(target, 'kind is not service or infrastructure');
    }
    const read = async (inputs: typeof srcs.all): Promise<ManifestFile[]> => {
      const files: ManifestFile[] = [];
      for (const { path, absolute } of inputs.flatMap((input) => input.files)) {
        files.push({ path, source: decode(path, await readFile(absolute)) });
      }
      return files;
    };
    const sets = config.patches === undefined ? [] : readTexts(config, 'patches', target);
    const files = await read(srcs.named.manifests ?? srcs.all);
    const patches: Record<string, ManifestFile[]> = {};
    for (const [index, set] of sets.entries()) patches[set] = await read(srcs.named[`patches_${index}`] ?? []);
    const { warnings } = checkManifests(files, {
      package: target.package,
      containers,
      place: target.place,
      unappliedPatches: Object.values(patches).flat(),
    });
    for (const warning of warnings) progress.say(`warning: ${warning.message}`);
    const path = join(outputFolder, onlyOutput(target));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(
      path,
      formatBundle({
        format: 1,
        service: target.label,
        ...(typeof owner === 'string' && { owner }),
        ...(kind !== undefined && { kind }),
        ...(after.length > 0 && { after }),
        containers,
        files,
        ...(sets.length > 0 && { patches }),
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
