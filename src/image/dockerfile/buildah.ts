import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ProcessFault, run } from '../../process/index.ts';
import type { Progress } from '../../progress/index.ts';
import { decompress } from '../debian/decompress.ts';
import type { Digest } from '../digest.ts';
import { layoutBlob, readImageLayout } from '../layout.ts';
import type { Descriptor } from '../manifest.ts';
import { mediaTypes } from '../manifest.ts';
import type { BlobStore } from '../store.ts';
import { DockerfileFault } from './fault.ts';
import {
  type DockerfileForBuildah,
  dockerfileForBuildah,
  heredocContext,
  heredocsOf,
  type StageForBuildah,
} from './for-buildah.ts';
import type { InstructionOf } from './instruction.ts';
import { isRun } from './needed-stages.ts';
import type { Dockerfile, Stage } from './parse.ts';
import { reproducibleLabel } from './reproducible.ts';
import { type LogicalLine, placeOf, type Word } from './source.ts';
import type { FolderNode, Tree } from './tree.ts';

/** How RUN is carried out. */
export interface RunSettings {
  readonly program: 'buildah';
  /** Name, as `--mount=type=secret,id=` has it, and the file with the secret. */
  readonly secrets: Readonly<Record<string, string>>;
}

export interface BuildahRequest {
  readonly store: BlobStore;
  readonly dockerfile: Dockerfile;
  /** Stages that are built, in their order. */
  readonly stages: readonly Stage[];
  readonly target: Stage;
  readonly context: Tree;
  readonly args: Readonly<Record<string, string>>;
  readonly settings: RunSettings;
  /** Empty; all that buildah writes lies in it. */
  readonly temporaryFolder: string;
  /** `linux/arm64`; undefined for this machine's. */
  readonly platform: string | undefined;
  /** The layout of what FROM or --from names where that is no stage. */
  layoutOf(stage: Stage, word: Word, line: LogicalLine): Promise<string | undefined>;
  /** What a stage's heredocs need to know: the SHELL that it begins with, and those of COPY and ADD with their variables replaced. */
  plannedOf(stage: Stage): Promise<Pick<StageForBuildah, 'shell' | 'texts'>>;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BuildahImage {
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly author: string | undefined;
}

/** Milliseconds that all RUNs of a Dockerfile may take. */
const patience = 3600_000;

/** Fields of Docker's configuration that mean something for an image. */
const fields = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'Healthcheck',
  'Shell',
  'OnBuild',
];

/**
 * Builds stages with buildah, in a chroot, with a storage of its own that is gone afterwards. Images below are those that the
 * Dockerfile may name here, too.
 *
 * @throws DockerfileFault dockerfile/run-failed with the last lines that were printed, secrets taken out
 */
export async function buildWithBuildah(request: BuildahRequest): Promise<BuildahImage> {
  const folder = join(request.temporaryFolder, 'buildah');
  try {
    return await build(request, folder);
  } finally {
    await removeStorage(folder);
  }
}

/** Without root, files of the image belong to users of a range that only buildah's namespace may touch. */
async function removeStorage(folder: string): Promise<void> {
  if (process.getuid?.() === 0) return;
  const parts = ['root', 'run', 'runtime'].map((name) => join(folder, name));
  // What is left is told of where the folder itself is removed.
  await run('buildah', ['unshare', 'rm', '-rf', ...parts], {
    cwd: '/',
    env: environment({}, folder),
    timeout: 300_000,
  }).catch(() => {});
}

async function build(request: BuildahRequest, folder: string): Promise<BuildahImage> {
  const { dockerfile, settings, target, store } = request;
  const context = join(folder, 'context');
  await mkdir(join(folder, 'runtime'), { recursive: true, mode: 0o700 });
  await mkdir(context, { recursive: true });
  await writeTree(request.context.root, context);
  const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  const call = (args: readonly string[], cwd = folder) => callBuildah(request, [...storage, ...args], folder, cwd);

  // A path with capitals can't become the name of an image: layouts are named from where they lie.
  const pull = async (layout: string) =>
    (await call(['pull', '--quiet', `oci:${basename(layout)}`], dirname(layout))).trim();
  const { text, files } = await translated(request, pull);
  await writeFile(join(folder, 'Dockerfile'), text);
  for (const [path, content] of files) {
    await mkdir(dirname(join(folder, heredocContext, path)), { recursive: true });
    await writeFile(join(folder, heredocContext, path), content, { mode: 0o644 });
  }
  await writeFile(join(folder, 'ignore'), '');
  const secrets = Object.entries(settings.secrets).flatMap(([id, path]) => ['--secret', `id=${id},src=${path}`]);
  const { stage: name } = target.from.meaning;
  await call([
    'bud',
    '--isolation=chroot',
    '--layers=false',
    '--timestamp=0',
    '--format=docker',
    '--pull-never',
    '--file=Dockerfile',
    '--ignorefile=ignore',
    '--iidfile=id',
    ...(target === dockerfile.stages.at(-1) ? [] : [`--target=${name ?? target.index}`]),
    ...(request.platform === undefined ? [] : [`--platform=${request.platform}`]),
    // Values go by the environment: a command line can be seen by everybody on the machine.
    ...Object.keys(request.args).map((arg) => `--build-arg=${arg}`),
    ...secrets,
    ...(files.size > 0 ? [`--build-context=${heredocContext}=${heredocContext}`] : []),
    'context',
  ]);
  const id = (await readFile(join(folder, 'id'), 'utf8')).trim();
  await call(['push', '--quiet', '--format=oci', id, 'oci:made']);
  const inspected = JSON.parse(await call(['inspect', '--type=image', id])) as {
    Docker?: { config?: Record<string, unknown>; author?: string };
  };
  return await take(store, join(folder, 'made'), dockerfile.source.file, inspected.Docker ?? {});
}

async function take(
  store: BlobStore,
  layout: string,
  file: string,
  { config = {}, author }: { readonly config?: Record<string, unknown>; readonly author?: string },
): Promise<BuildahImage> {
  const { manifest, configuration } = await readImageLayout(layout);
  const layers: Descriptor[] = [];
  for (const [index, diffId] of configuration.diffIds.entries()) {
    const layer = manifest.layers[index];
    if (layer === undefined) throw new Error('an image has a layer for each of its sums');
    // Into a layout buildah compresses, whatever it is asked for; layers here are as they are in images without RUN, and shared with them.
    if ((await store.size(diffId)) === undefined) await store.put(unpacked(layout, layer), { digest: diffId });
    layers.push({ mediaType: mediaTypes.layer, digest: diffId, size: (await store.size(diffId)) ?? 0 });
  }
  const { 'io.buildah.version': _, ...labels } = (config.Labels ?? {}) as Record<string, string>;
  const isEmpty = (value: unknown) =>
    value === undefined ||
    value === null ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0);
  const given = fields.map((name) => [name, config[name]] as const).filter(([, value]) => !isEmpty(value));
  return {
    layers,
    diffIds: configuration.diffIds,
    // buildah's own history holds the values of build arguments.
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: `buildah, from ${file}` })),
    config: { ...Object.fromEntries(given), Labels: { ...labels, [reproducibleLabel]: 'false' } },
    author: author === '' ? undefined : author,
  };
}

function unpacked(layout: string, { digest, mediaType }: Descriptor): AsyncIterable<Uint8Array> {
  const source = createReadStream(layoutBlob(layout, digest), { highWaterMark: 256 * 1024 });
  return mediaType.endsWith('gzip') ? decompress(source, 'gzip', `layer ${digest}`) : source;
}

async function callBuildah(
  { settings, args: given, signal, dockerfile, stages, target }: BuildahRequest,
  args: readonly string[],
  home: string,
  cwd: string,
): Promise<string> {
  try {
    const env = environment(given, home);
    const { stdout } = await run('buildah', args, { cwd, env, timeout: patience, ...(signal && { signal }) });
    return stdout.toString('utf8');
  } catch (error) {
    if (!(error instanceof ProcessFault)) throw error;
    const secrets = await Promise.all(
      Object.values(settings.secrets).map((path) => readFile(path, 'utf8').catch(() => '')),
    );
    // Without a RUN of its own it is ONBUILD of what it stands on that runs.
    const runs = stages.flatMap(({ instructions }) => instructions.filter(isRun));
    const failed = runs.find((each) => error.notes.some((note) => isStepOf(note, each))) ?? runs[0] ?? target.from;
    throw new DockerfileFault(
      'dockerfile/run-failed',
      `${dockerfile.source.file} could not be built with buildah: ${error.message}`,
      {
        place: placeOf(failed.line, failed.keywordWord),
        notes: error.notes.map((note) => withoutSecrets(note, secrets)),
        next: nextStep(error),
      },
    );
  }
}

function environment(args: Readonly<Record<string, string>>, folder: string): Record<string, string> {
  const passed = Object.entries(process.env).filter(([name]) => /^(?:https?|ftp|no|all)_proxy$/i.test(name));
  return {
    ...Object.fromEntries(passed.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
    ...args,
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: folder,
    TMPDIR: folder,
    // Where it is not root it keeps notes of its storage there.
    XDG_RUNTIME_DIR: join(folder, 'runtime'),
    LC_ALL: 'C.UTF-8',
  };
}

function nextStep({ code, notes }: ProcessFault): string {
  if (code === 'process/not-found') return 'install buildah; script/bootstrap does';
  const text = notes.join('\n');
  if (/newuidmap|newgidmap/.test(text) && /not found/.test(text))
    return 'install uidmap, which lets buildah run without root';
  if (/no (?:subuid|subgid) ranges found|UID ranges set aside/.test(text))
    return 'give your user a range of ids, by which buildah runs without root: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "$(id -un)"';
  if (process.getuid?.() !== 0 && /cannot clone|user namespace|CLONE_NEWUSER/i.test(text))
    return 'this system gives no namespaces to users: turn them on (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces), or build as root';
  return 'look at its last lines above';
}

/** Whether what buildah says at last, `building at STEP "RUN ..."`, is of this instruction. */
function isStepOf(note: string, { meaning: { command, heredocs } }: InstructionOf<'run'>): boolean {
  const [, step] = /building at STEP "([\s\S]*)/.exec(note) ?? [];
  const said = heredocs[0]?.content ?? ('shell' in command ? command.shell : command.exec.join(' '));
  return step?.includes(said.trim()) ?? false;
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  // Shorter ones are no secrets, and words like others.
  const known = secrets.flatMap((secret) => [secret, ...secret.split('\n')]).filter((each) => each.trim().length >= 6);
  return known.reduce((shown, secret) => shown.replaceAll(secret.trim(), '***'), text);
}

/** The Dockerfile as buildah takes it, with images by their ids in its storage. */
async function translated(
  request: BuildahRequest,
  pull: (layout: string) => Promise<string>,
): Promise<DockerfileForBuildah> {
  const { dockerfile, stages } = request;
  const pulled = new Map<string, string>();
  const known: StageForBuildah[] = [];
  for (const stage of stages) {
    const words: [Word, LogicalLine][] = [[stage.from.meaning.image, stage.from.line]];
    for (const { meaning, line } of stage.instructions) {
      if ((meaning.kind === 'copy' || meaning.kind === 'add') && meaning.flags.from)
        words.push([meaning.flags.from, line]);
    }
    const ids = new Map<Word, string>();
    for (const [word, line] of words) {
      const layout = await request.layoutOf(stage, word, line);
      if (layout === undefined) continue;
      const id = pulled.get(layout) ?? (await pull(layout));
      pulled.set(layout, id);
      ids.set(word, id);
    }
    const hasHeredocs = stage.instructions.some((instruction) => heredocsOf(instruction).length > 0);
    known.push({
      stage,
      ids,
      ...(hasHeredocs ? await request.plannedOf(stage) : { shell: undefined, texts: new Map() }),
    });
  }
  return dockerfileForBuildah(dockerfile.source.text, known);
}

async function writeTree(folder: FolderNode, path: string): Promise<void> {
  for (const [name, node] of folder.children) {
    const place = join(path, name);
    if (node.type === 'directory') {
      await mkdir(place, { recursive: true });
      await writeTree(node, place);
    } else if (node.type === 'symlink') await symlink(node.target, place);
    else if (node.type === 'file') {
      const { bytes } = node.content;
      if (bytes instanceof Uint8Array) await writeFile(place, bytes);
      else await copyFile(bytes.path, place);
      await chmod(place, node.mode);
    }
  }
}
