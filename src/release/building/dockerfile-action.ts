import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { posix, resolve } from 'node:path';
import type { BuiltFile, BuiltinRequest } from '../../build/index.ts';
import { type Label, parseLabel, type Target, type Workspace } from '../../graph/index.ts';
import {
  type Architecture,
  type BlobStore,
  type ContextFile,
  type DockerfileImageRequest,
  decodeDockerfile,
  makeDockerfileImage,
  parseBuildArguments,
} from '../../image/index.ts';
import { ReleaseFault } from '../fault.ts';
import { badRule, type Config, configOf, readRecord, readText, readTexts } from './action-config.ts';
import { workspaceRegistries } from './registries.ts';

/** Makes the image of a target with a Dockerfile. */
export async function makeFromDockerfile(
  request: BuiltinRequest,
  store: BlobStore,
  output: string,
  architecture: Architecture,
  workspace: Workspace,
): Promise<void> {
  const { target, progress, signal, temporaryFolder, update } = request;
  const config = configOf(target);
  const passed = Object.fromEntries(
    target.passEnv.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const given = parseBuildArguments(readText(config, 'build_args', target), passed);
  const dockerfile = onlySource(request, 'dockerfile');
  const folder = contextFolder(config, target);
  update(`${dockerfile.path}`);
  const { warnings } = await makeDockerfileImage({
    store,
    output,
    temporaryFolder,
    dockerfile: decodeDockerfile(dockerfile.path, await readFile(dockerfile.absolute)),
    context: contextFiles(request, config, folder),
    ignore: await ignoreFile(request, dockerfile.path, folder),
    imageOf: (label) => declaredImage(request, config, label),
    args: { ...given.args, ...textRecord(config, 'args', target) },
    target: typeof config.target === 'string' ? config.target : given.target,
    labels: { ...given.labels, ...textRecord(config, 'image_labels', target) },
    run: await runSettings(config, target, workspace),
    architecture,
    platform: given.platform,
    registries: await workspaceRegistries(workspace),
    progress,
    signal,
  } satisfies DockerfileImageRequest);
  for (const { file, line, message } of warnings) progress.say(`warning: ${file}:${line}: ${message}`);
}

/** What carries RUN out where banksman.yaml turns that on; secrets are files of this machine, and part of no key. */
async function runSettings(
  config: Config,
  target: Target,
  { images: { run }, root }: Workspace,
): Promise<DockerfileImageRequest['run']> {
  const given = Object.entries(textRecord(config, 'secrets', target));
  if (run === undefined) {
    if (given.length === 0) return undefined;
    throw new ReleaseFault('release/bad-rule', `${target.label} has secrets for RUN, which nothing carries out`, {
      place: target.place,
      next: 'take them out, or turn RUN on in banksman.yaml: images: { run: buildah }',
    });
  }
  const secrets: Record<string, string> = {};
  for (const [id, path] of given) {
    const absolute = resolve(root, path.replace(/^~(?=\/)/, homedir()));
    const found = await stat(absolute).catch(() => undefined);
    if (!found?.isFile() || !/^[A-Za-z0-9._-]+$/.test(id) || absolute.includes(',')) {
      throw new ReleaseFault('release/bad-rule', `the secret ${id} of ${target.label} is not a file: ${path}`, {
        place: target.place,
        next: 'put it there; a path is absolute, or relative to the workspace',
      });
    }
    secrets[id] = absolute;
  }
  return { program: run, secrets };
}

/** The workspace path of the folder that is the context. */
function contextFolder(config: Config, target: Target): string {
  const { context } = config;
  if (typeof context !== 'string') return target.package;
  const path = context.startsWith('//') ? context.slice(2) : posix.join(target.package, context);
  const folder = posix.normalize(path === '' ? '.' : path).replace(/\/$/, '');
  if (folder.startsWith('../') || folder === '..')
    throw badRule(target, `context ${context} leads out of the workspace`);
  return folder === '.' ? '' : folder;
}

/** Files below the context's folder keep their paths in it; others lie at its top by their names. */
function contextFiles(request: BuiltinRequest, config: Config, folder: string): ContextFile[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  const files = new Map<string, { inside: string; file: BuiltFile }>();
  // What is for another architecture than this machine's is reached through its rule.
  const elsewhere = readTexts(config, 'elsewhere', request.target).map((label) => request.outputsOf(label as Label));
  for (const each of [...(request.srcs.named.srcs ?? []).map((group) => group.files), ...elsewhere]) {
    for (const file of each) {
      const { path } = file;
      const inside = path.startsWith(prefix) ? path.slice(prefix.length) : posix.basename(path);
      const before = files.get(inside);
      // A file that is named twice, by itself and by a target, is one.
      if (before !== undefined && isSame(before.file, file)) continue;
      files.set(before === undefined ? inside : `${inside}\0${path}`, { inside, file });
    }
  }
  const known = pathsAbove([...files.values()].map(({ inside }) => inside));
  return [...files.values()].map(
    ({ inside, file }): ContextFile => ({
      path: inside,
      link: file.path.startsWith(prefix) ? linkInside(inside, file.link, known) : undefined,
      absolute: file.absolute,
      kind: file.kind,
      get sha256() {
        return file.sha256;
      },
      executable: file.executable,
      sourceId: file.sourceId,
    }),
  );
}

/** Paths, and those of the folders that they lie in. */
function pathsAbove(paths: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const path of paths) for (let at = path; at !== '.' && !found.has(at); at = posix.dirname(at)) found.add(at);
  return found;
}

/** A link to what the context does not have would lead to nothing in the image: what it leads to is taken in its place. */
function linkInside(path: string, link: string | undefined, known: ReadonlySet<string>): string | undefined {
  return link !== undefined && known.has(posix.join(posix.dirname(path), link).replace(/\/$/, '')) ? link : undefined;
}

function isSame(a: BuiltFile, b: BuiltFile): boolean {
  return a.absolute === b.absolute || (a.path === b.path && a.executable === b.executable && a.sha256 === b.sha256);
}

async function ignoreFile(
  { srcs }: BuiltinRequest,
  dockerfile: string,
  folder: string,
): Promise<DockerfileImageRequest['ignore']> {
  const known = [...(srcs.named.ignore ?? []), ...(srcs.named.srcs ?? [])].flatMap(({ files }) => files);
  const wanted = [`${dockerfile}.dockerignore`, folder === '' ? '.dockerignore' : `${folder}/.dockerignore`];
  for (const path of wanted) {
    const found = known.find((file) => file.path === path);
    if (found !== undefined) return { file: path, text: await readFile(found.absolute, 'utf8') };
  }
  return undefined;
}

/** The layout of an image that the target declares. */
function declaredImage(request: BuiltinRequest, config: Config, text: string): string | undefined {
  const { target } = request;
  let label: Label;
  try {
    label = parseLabel(text, target.package);
  } catch {
    return undefined;
  }
  if (!readTexts(config, 'base_images', target).includes(label)) return undefined;
  const [file, ...others] = request.outputsOf(label);
  if (file === undefined || others.length > 0 || !file.path.endsWith('.oci'))
    throw badRule(target, `${label} is not an image`);
  return file.absolute;
}

function onlySource({ srcs, target }: BuiltinRequest, name: string): BuiltFile {
  const [file, ...others] = (srcs.named[name] ?? []).flatMap(({ files }) => files);
  if (file !== undefined && others.length === 0 && file.kind === 'file') return file;
  throw badRule(target, `its ${name} is not one file`);
}

function textRecord(config: Config, key: string, target: Target): Record<string, string> {
  return Object.fromEntries(
    Object.entries(readRecord(config, key, target)).map(([name, value]) => {
      if (typeof value !== 'string') throw badRule(target, `${key}[${name}] is not a text`);
      return [name, value];
    }),
  );
}
