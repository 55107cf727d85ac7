import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuiltFile, BuiltinRequest } from '../../build/index.ts';
import type { Graph, Json, Label, Target } from '../../graph/index.ts';
import {
  type Architecture,
  type BlobStore,
  type Digest,
  debianArchitecture,
  type ImageFile,
  type ImageFolder,
  isArchitecture,
  type LayerContent,
  type LayerFile,
  machineArchitecture,
  makeImage,
} from '../../image/index.ts';
import { ReleaseFault } from '../fault.ts';
import { badRule, type Config, configOf, onlyOutput, readRecord } from './action-config.ts';
import { makeFromDockerfile } from './dockerfile-action.ts';
import { hasDockerfile } from './dockerfile-facts.ts';
import { groupsOf, imageConfig, modeOf, ownerText, usersOf } from './image-config.ts';
import { isPackage, packageOf } from './package-target.ts';

/** Makes the image of a `docker_image`: of packages, files and a configuration, or of a Dockerfile. */
export async function makeTargetImage(
  original: BuiltinRequest,
  graph: Graph,
  openStore: () => Promise<BlobStore>,
): Promise<void> {
  const { target, outputFolder, update } = original;
  const config = configOf(target);
  const architecture = architectureOf(config, target);
  const request = { ...original, outputsOf: throughProvides(original, graph) };
  update('putting the image together');
  const output = join(outputFolder, onlyOutput(target));
  await mkdir(dirname(output), { recursive: true });
  const store = await openStore();
  if (hasDockerfile(target)) {
    await makeFromDockerfile(request, store, output, architecture, graph.workspace);
    return;
  }
  const base = config.base_image;
  const layers = config.layers ?? [];
  if (!Array.isArray(layers)) throw badRule(target, 'layers is not a list');
  await makeImage({
    store,
    output,
    base: typeof base === 'string' ? onlyFile(request, base as Label) : undefined,
    packages: packageLayers(request, graph, architecture),
    layers: layers.map((layer) => ({ name: layerName(request, layer), ...contentOf(request, layer as Config) })),
    ...contentOf(request, config),
    users: usersOf(config, target),
    groups: groupsOf(config, target),
    certificates: filesOfList(request, config.certificates),
    config: imageConfig(config, target),
    architecture,
  });
}

function architectureOf({ architecture }: Config, target: Target): Architecture {
  if (architecture === undefined || architecture === null) return machineArchitecture();
  if (typeof architecture === 'string' && isArchitecture(architecture)) return architecture;
  throw badRule(target, `${JSON.stringify(architecture)} is no architecture such as amd64 or arm64`);
}

/** Outputs of a label, or of what it provides for the architecture that the target requires. */
function throughProvides({ target, outputsOf }: BuiltinRequest, { targets }: Graph): BuiltinRequest['outputsOf'] {
  return (label) => {
    const offers = targets.get(label)?.provides;
    const taken = offers === undefined ? [] : target.requires.flatMap((kind) => offers[kind] ?? []);
    return taken.length === 0 ? outputsOf(label) : taken.flatMap((each) => outputsOf(each));
  };
}

function packageLayers({ deps, target }: BuiltinRequest, graph: Graph, architecture: Architecture): LayerFile[] {
  return deps.flatMap(({ label, named }) => {
    const dependency = graph.targets.get(label);
    // Groups of packages pass on what their members have.
    if (dependency === undefined || !isPackage(dependency)) return [];
    const { request: each } = packageOf(dependency);
    if (each.architecture !== 'all' && each.architecture !== debianArchitecture(architecture)) {
      throw new ReleaseFault(
        'release/wrong-architecture',
        `${target.label} is for ${architecture}, the package ${each.name} that is locked is for ${each.architecture}`,
        {
          place: dependency.place,
          next: `add ${architecture} to the architectures of the debian_packages rule, and run: banksman lock debian`,
        },
      );
    }
    return (named.layer ?? []).map(({ absolute, sha256 }): LayerFile => {
      const digest: Digest = `sha256:${sha256}`;
      return { path: absolute, digest, createdBy: `debian ${each.name} ${each.version}` };
    });
  });
}

function layerName({ target }: BuiltinRequest, layer: Json): string {
  const name = typeof layer === 'object' && layer !== null && 'name' in layer ? layer.name : undefined;
  if (typeof name === 'string' && name !== '') return name;
  throw badRule(target, 'one of its layers has no name');
}

/** Files, folders and links of a layer, or of the image itself for the topmost one. */
function contentOf(request: BuiltinRequest, config: Config): LayerContent {
  const { target } = request;
  const files = Object.entries(readRecord(config, 'files', target));
  const folders = Object.entries(readRecord(config, 'folders', target));
  const links = Object.entries(readRecord(config, 'symlinks', target));
  return {
    files: files.flatMap(([destination, given]) => imageFiles(request, destination, given)),
    folders: folders.map(([path, given]): ImageFolder => {
      if (typeof given === 'string') return { path, ...(given !== '' && { owner: given }) };
      const form = record(given, `folders[${path}]`, request);
      return { path, mode: modeOf(form.mode, target), owner: ownerText(form.owner, target) };
    }),
    links: links.map(([path, link]) => {
      if (typeof link !== 'string') throw badRule(target, `symlinks[${path}] is not a text`);
      return { path, target: link };
    }),
  };
}

/** One file; or, where the path ends in `/`, all that a label gives, each by its name below that folder. */
function imageFiles(request: BuiltinRequest, destination: string, given: Json): ImageFile[] {
  const { target } = request;
  const form = typeof given === 'string' ? { source: given } : record(given, `files[${destination}]`, request);
  const { source, content } = form as Config;
  const rest = {
    mode: modeOf((form as Config).mode, target),
    folderMode: modeOf((form as Config).folder_mode, target),
    owner: ownerText((form as Config).owner, target),
  };
  if (typeof content === 'string' && source === undefined) return [{ destination, content, ...rest }];
  if (typeof source !== 'string') throw badRule(target, `files[${destination}] names no source`);
  const taken = destination.endsWith('/') ? sourcesOf(request, source) : [fileOf(request, source)];
  return taken.map((file) => ({ destination, source: file.absolute, ...identityOf(file), ...rest }));
}

/** A source of the workspace is known by what git calls its bytes: its sum would have to be taken. */
function identityOf(file: BuiltFile): Pick<ImageFile, 'identity' | 'gitId'> {
  const { sourceId } = file;
  return sourceId === undefined ? { identity: file.sha256 } : { identity: `git ${sourceId}`, gitId: sourceId };
}

function record(value: Json, what: string, { target }: BuiltinRequest): Config {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Config;
  throw badRule(target, `${what} is neither a text nor a dict`);
}

function filesOfList(request: BuiltinRequest, list: Json | undefined): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((each) => sourcesOf(request, String(each)).map(({ absolute }) => absolute));
}

/** A file of the package by its path in the workspace, or the outputs of a label. */
function sourcesOf(request: BuiltinRequest, source: string): readonly BuiltFile[] {
  if (source.startsWith('//')) return request.outputsOf(source as Label);
  const laid = [...request.srcs.all, ...Object.values(request.srcs.named).flat()];
  const found = laid.find(({ input }) => input.kind === 'file' && input.path === source)?.files;
  if (found === undefined) throw badRule(request.target, `${source} is not among its sources`);
  return found;
}

function fileOf(request: BuiltinRequest, source: string): BuiltFile {
  if (source.startsWith('//')) return onlyOutputOf(request, source as Label);
  const [file] = sourcesOf(request, source);
  if (file === undefined) throw badRule(request.target, `${source} is not among its sources`);
  return file;
}

function onlyFile(request: BuiltinRequest, label: Label): string {
  return onlyOutputOf(request, label).absolute;
}

function onlyOutputOf(request: BuiltinRequest, label: Label): BuiltFile {
  const [file, ...others] = request.outputsOf(label);
  if (file === undefined || others.length > 0) {
    throw badRule(request.target, `${label} has ${others.length + (file ? 1 : 0)} outputs, and one is needed`);
  }
  return file;
}
