import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuiltinAction, BuiltinActions } from '../../build/index.ts';
import type { Graph } from '../../graph/index.ts';
import {
  assembleIndex,
  type BlobStore,
  debianLayerVersion,
  fetchPackages,
  imageVersion,
  machineArchitecture,
  makeDebianPackageLayer,
} from '../../image/building.ts';
import type { DebianSource } from '../../image/index.ts';
import type { Progress } from '../../progress/index.ts';
import { badRule, onlyOutput } from './action-config.ts';
import { dockerfileFacts, hasDockerfile } from './dockerfile-facts.ts';
import { packagesOfImages } from './needed-packages.ts';
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
      const asked = architecture === machineArchitecture() ? undefined : packagesOfImages(graph(), architecture);
      const packages = [...graph().targets.values()]
        .filter((each) => isPackage(each) && (asked === undefined || asked.has(each.label)))
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
      const { suite, lockArchitecture, request, scriptsByHand } = packageOf(target);
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
        options: { scriptsByHand },
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

const k8sConfig: BuiltinAction = {
  version: '2',
  run: async (request) => (await import('./k8s-config-action.ts')).makeBundle(request),
};

/** The action of `docker_image`. */
function imageAction(graph: () => Graph, store: () => Promise<BlobStore>): BuiltinAction {
  return {
    version: imageVersion,
    readsInPlace: true,
    key: (target) =>
      [machineArchitecture(), ...(hasDockerfile(target) ? [dockerfileFacts(graph().workspace)] : [])].join(' '),
    run: async (request) => (await import('./image-action.ts')).makeTargetImage(request, graph(), store),
  };
}

/** The action of a `docker_image` with several architectures: an index of the images of its deps. */
function indexAction(store: () => Promise<BlobStore>): BuiltinAction {
  return {
    version: '2',
    async run({ target, deps, outputFolder }) {
      const output = join(outputFolder, onlyOutput(target));
      await mkdir(dirname(output), { recursive: true });
      const images = deps.filter(({ direct }) => direct).flatMap(({ files }) => files.map(({ absolute }) => absolute));
      await assembleIndex({ store: await store(), output, images });
    },
  };
}
