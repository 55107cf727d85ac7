import { createReadStream } from 'node:fs';
import type { Progress } from '../../progress/index.ts';
import { created, storeImage, takeBase } from '../assemble.ts';
import { bounded } from '../bounded.ts';
import { canonicalJson } from '../canonical.ts';
import type { RegistryAccessOptions } from '../client/endpoints.ts';
import { decompress } from '../debian/decompress.ts';
import type { Digest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { storeLayer } from '../layer-record.ts';
import type { AssembledImage } from '../layout.ts';
import { type Descriptor, mediaTypes } from '../manifest.ts';
import { type Architecture, machineArchitecture } from '../platform.ts';
import type { BlobStore } from '../store.ts';
import {
  globalVariables,
  type Platform,
  platformVariables,
  substituteWord,
  unusedArguments,
  type Variables,
} from './arguments.ts';
import { isLabel, pinnedImage } from './base-image.ts';
import { buildWithBuildah, type RunSettings } from './buildah.ts';
import { type Changes, recordChanges } from './changes.ts';
import { configOf } from './config.ts';
import { type ContextFile, contextTree, ignoreFilter } from './context.ts';
import { DockerfileFault } from './fault.ts';
import { findOwner } from './find-owner.ts';
import { heredocsOf } from './for-buildah.ts';
import type { Heredoc, Instruction } from './instruction.ts';
import { treeOfLayers } from './layer-tree.ts';
import { hasRun, isRun, neededStages } from './needed-stages.ts';
import { type Dockerfile, parseDockerfile, type Stage, type Warning } from './parse.ts';
import {
  type CopyStep,
  emptyConfig,
  type FolderStep,
  planStage,
  type StageBase,
  type StagePlan,
  type StageScope,
} from './plan-stage.ts';
import { refuseRuns } from './run-advice.ts';
import { type DockerfileSource, type LogicalLine, placeOf, type Word } from './source.ts';
import { carryOutCopy } from './step.ts';
import { emptyTree, partsOf, resolvePath, type Tree } from './tree.ts';

export interface DockerfileImageRequest extends RegistryAccessOptions {
  readonly store: BlobStore;
  /** Layout folder to write; replaced as a whole. */
  readonly output: string;
  readonly dockerfile: DockerfileSource;
  readonly context: readonly ContextFile[];
  /** The .dockerignore file that counts. */
  readonly ignore?: { readonly file: string; readonly text: string } | undefined;
  /**
   * The layout of an image that a label names.
   *
   * @param label as the Dockerfile has it
   * @returns undefined where the target does not declare it
   */
  readonly imageOf: (label: string) => string | undefined;
  /** Arguments of the build: ARG. */
  readonly args?: Readonly<Record<string, string>> | undefined;
  /** The stage to build; the last unless told. */
  readonly target?: string | undefined;
  /** Labels beside those of the Dockerfile. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What carries RUN out; RUN is refused where this is absent. */
  readonly run?: RunSettings | undefined;
  /** This machine's unless told. */
  readonly architecture?: Architecture | undefined;
  /** In place of the architecture, as `docker build --platform` has it. */
  readonly platform?: string | undefined;
  /** An empty folder, removed by whoever made it. */
  readonly temporaryFolder: string;
  readonly progress?: Progress | undefined;
}

export interface DockerfileImage extends AssembledImage {
  readonly warnings: readonly (Warning & { readonly file: string })[];
}

/** An image in the making. */
interface Made {
  readonly platform: Platform;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly author: string | undefined;
  readonly args: Variables;
  /** Its files; read when they are asked for. */
  tree(): Promise<Tree>;
}

/**
 * Makes the image that a Dockerfile describes, without a daemon and without running anything of it. The same input gives the same
 * bytes: times are 0, modes and owners do not come from the checkout.
 *
 * @throws DockerfileFault, ImageFault
 */
export async function makeDockerfileImage(request: DockerfileImageRequest): Promise<DockerfileImage> {
  return await new Build(request, parseDockerfile(request.dockerfile)).image();
}

class Build {
  readonly #request: DockerfileImageRequest;
  readonly #dockerfile: Dockerfile;
  readonly #given: Variables;
  readonly #globals: Variables;
  readonly #target: Stage;
  readonly #platform: Platform;
  readonly #stages = new Map<number, Promise<Made>>();
  readonly #images = new Map<string, Promise<Made>>();
  readonly #warnings: (Warning & { file: string })[] = [];
  #context: Promise<Tree> | undefined;

  constructor(request: DockerfileImageRequest, dockerfile: Dockerfile) {
    this.#request = request;
    this.#dockerfile = dockerfile;
    this.#given = new Map(Object.entries(request.args ?? {}));
    this.#platform = {
      os: 'linux',
      architecture: platformArgument(request.platform) ?? request.architecture ?? machineArchitecture(),
    };
    this.#target = targetStage(dockerfile, request.target);
    const stageName = this.#target.from.meaning.stage ?? 'default';
    const automatic = platformVariables(
      { os: 'linux', architecture: machineArchitecture() },
      this.#platform,
      stageName,
    );
    this.#globals = globalVariables(dockerfile, automatic, this.#given);
    this.#warn(dockerfile.source.file, [
      ...dockerfile.warnings,
      ...unusedArguments(dockerfile, this.#given, automatic),
    ]);
  }

  async image(): Promise<DockerfileImage> {
    const { store, output, labels = {} } = this.#request;
    const made = await this.#made();
    const { architecture } = made.platform;
    const own =
      Object.keys(labels).length > 0 ? { Labels: { ...(made.config.Labels as object | undefined), ...labels } } : {};
    const configuration = canonicalJson({
      architecture,
      ...(architecture === 'arm64' && { variant: 'v8' }),
      os: 'linux',
      created,
      author: made.author,
      config: { ...made.config, ...own },
      rootfs: { type: 'layers', diff_ids: made.diffIds },
      history: made.history,
    });
    const image = await storeImage({ store, output, architecture, configuration, layers: made.layers });
    return { ...image, warnings: this.#warnings };
  }

  async #made(): Promise<Pick<Made, 'platform' | 'layers' | 'diffIds' | 'history' | 'config' | 'author'>> {
    const { run, temporaryFolder, store, progress, signal, args = {} } = this.#request;
    if (run === undefined) return await this.#targetStage();
    const needed = this.#needed();
    if (!hasRun(needed) && !(await this.#triggersRun(needed))) return await this.#targetStage();
    const platform = this.#platformOf(this.#target);
    const isHere = platform.architecture === machineArchitecture();
    this.#warn(this.#dockerfile.source.file, [
      { line: 1, message: 'RUN is carried out: the image is not reproducible, and is marked so' },
    ]);
    const image = await buildWithBuildah({
      store,
      dockerfile: this.#dockerfile,
      stages: needed,
      target: this.#target,
      context: await this.#contextTree(),
      args,
      settings: run,
      temporaryFolder,
      platform: isHere ? undefined : `${platform.os}/${platform.architecture}`,
      layoutOf: (stage, word, line) => this.#foreignLayout(stage, word, line),
      plannedOf: async (stage) => {
        const { base, plan } = await this.#planned(stage);
        const texts = plan.steps.flatMap(({ instruction, files }) => {
          const given = files?.kind === 'copy' || files?.kind === 'add' ? files.heredocs : [];
          return heredocsOf(instruction).flatMap((heredoc, index): [Heredoc, string][] => {
            const text = given[index]?.content;
            return text === undefined ? [] : [[heredoc, text]];
          });
        });
        return { shell: configOf(base.config).Shell, texts: new Map(texts) };
      },
      progress,
      signal,
    });
    return { ...image, platform };
  }

  /** Whether something runs by ONBUILD of what a stage stands on. buildah carries that out by itself. */
  async #triggersRun(stages: readonly Stage[]): Promise<boolean> {
    for (const stage of stages) {
      const above = this.#stageBelow(stage);
      const runs =
        above === undefined
          ? triggerInstructions((await this.#foundation(stage)).config.OnBuild, this.#baseName(stage)).some(isRun)
          : above.instructions.some(({ meaning }) => meaning.kind === 'onbuild' && isRun(meaning.trigger));
      if (runs) return true;
    }
    return false;
  }

  #foundation(stage: Stage): Promise<Made> {
    return this.#below(stage, this.#baseName(stage), this.#platformOf(stage));
  }

  /** The target's stage, whose user there is. */
  async #targetStage(): Promise<Made> {
    const made = await this.#stage(this.#target);
    await this.#checkUser(made);
    return made;
  }

  /** What would only be told when the image runs. A user of the base image is not looked at: nothing here names it. */
  async #checkUser(made: Made): Promise<void> {
    const { User: user } = made.config;
    if (typeof user !== 'string' || /^[0-9]+(:[0-9]+)?$/.test(user)) return;
    for (let stage: Stage | undefined = this.#target; stage !== undefined; stage = this.#stageBelow(stage)) {
      const found = stage.instructions.findLast(({ meaning }) => meaning.kind === 'user');
      if (found?.meaning.kind !== 'user') continue;
      await findOwner(user, await made.tree(), found.line, found.meaning.word);
      return;
    }
  }

  /** What a stage with RUN means, as far as that is known without running it. */
  async #planned(stage: Stage): Promise<{ readonly base: StageBase; readonly plan: StagePlan }> {
    const { line, meaning } = stage.from;
    const text = this.#baseName(stage);
    const platform = this.#platformOf(stage);
    const above = this.#stageBelow(stage);
    const isNothing = text === 'scratch' && above === undefined;
    let base: StageBase;
    if (above !== undefined) base = (await this.#planned(above)).plan;
    else base = isNothing ? empty(platform) : await this.#image(text, platform, line, meaning.image);
    return { base, plan: planStage(stage.instructions, base, { ...this.#scope(), run: () => undefined }) };
  }

  #scope(): Omit<StageScope, 'run'> {
    return { escape: this.#dockerfile.escape, globals: this.#globals, given: this.#given };
  }

  /** Stages that the target is made of. */
  #needed(): Stage[] {
    return neededStages(this.#dockerfile, this.#target, (stage) => this.#baseName(stage));
  }

  #stageBelow(stage: Stage): Stage | undefined {
    const name = this.#baseName(stage).toLowerCase();
    return this.#dockerfile.stages.slice(0, stage.index).findLast(({ from }) => from.meaning.stage === name);
  }

  /** The layout of what a word of FROM or --from names; undefined for a stage and for `scratch`. */
  async #foreignLayout(stage: Stage, word: Word, line: LogicalLine): Promise<string | undefined> {
    const isFrom = word === stage.from.meaning.image;
    const name = isFrom ? this.#baseName(stage) : word.text;
    if (isFrom && name === 'scratch') return undefined;
    const above = this.#dockerfile.stages.slice(0, stage.index);
    if (above.some(({ from }) => from.meaning.stage === name.toLowerCase())) return undefined;
    if (!isFrom && /^[0-9]+$/.test(name)) return undefined;
    return await this.#layoutOf(name, this.#platformOf(stage), line, word);
  }

  #warn(file: string, warnings: readonly Warning[]): void {
    this.#warnings.push(...warnings.map((warning) => ({ ...warning, file })));
  }

  #stage(stage: Stage): Promise<Made> {
    let made = this.#stages.get(stage.index);
    if (made === undefined) {
      made = this.#makeStage(stage);
      this.#stages.set(stage.index, made);
    }
    return made;
  }

  #baseName({ from: { line, meaning } }: Stage): string {
    const { text } = substituteWord(line, meaning.image, this.#dockerfile.escape, (name) => this.#globals.get(name));
    if (text !== '') return text;
    throw new DockerfileFault('dockerfile/bad-value', 'FROM names nothing when its variables are replaced', {
      place: placeOf(line, meaning.image),
      next: 'give the ARG a value, in the Dockerfile before the first FROM or in args',
    });
  }

  async #makeStage(stage: Stage): Promise<Made> {
    const platform = this.#platformOf(stage);
    const text = this.#baseName(stage);
    const below = await this.#foundation(stage);
    const scope: StageScope = {
      ...this.#scope(),
      run: (instruction) => {
        const all = this.#needed().flatMap(({ instructions }) => instructions.filter(isRun));
        throw refuseRuns(all.includes(instruction) ? all : [instruction]);
      },
    };
    const { OnBuild: triggers, ...config } = below.config as { OnBuild?: unknown };
    const start = await this.#carryOut(
      stage,
      triggerInstructions(triggers, text),
      { ...below, config },
      scope,
      platform,
      `ONBUILD of ${text}`,
    );
    return await this.#carryOut(stage, stage.instructions, start, scope, platform, this.#dockerfile.source.file);
  }

  async #carryOut(
    stage: Stage,
    instructions: Stage['instructions'],
    base: Made,
    scope: StageScope,
    platform: Platform,
    file: string,
  ): Promise<Made> {
    if (instructions.length === 0) return base;
    const plan = planStage(instructions, base, scope);
    this.#warn(file, plan.warnings);
    const layers = [...base.layers];
    const diffIds = [...base.diffIds];
    const history = [...base.history];
    let own: Tree | undefined;
    const tree = async () => (own ??= (await base.tree()).copy());
    for (const { instruction, createdBy, files } of plan.steps) {
      this.#request.signal?.throwIfAborted();
      const layer =
        files && (await this.#writeLayer(await this.#changesOf(stage, instruction, files, await tree(), file)));
      if (layer !== undefined) {
        layers.push({ mediaType: mediaTypes.layer, ...layer });
        diffIds.push(layer.digest);
      }
      history.push({ created, created_by: createdBy, ...(layer === undefined && { empty_layer: true }) });
    }
    const { config, author, args } = plan;
    return { platform, layers, diffIds, history, config, author, args, tree };
  }

  #platformOf({ from: { line, meaning } }: Stage): Platform {
    if (meaning.platform === undefined) return this.#platform;
    const { text } = substituteWord(line, meaning.platform, this.#dockerfile.escape, (name) => this.#globals.get(name));
    const architecture = architectureOf(text);
    if (architecture !== undefined) return { os: 'linux', architecture };
    throw new DockerfileFault(
      'dockerfile/bad-value',
      `${JSON.stringify(text)} is no platform that images are made for`,
      {
        place: placeOf(line, meaning.platform),
        next: 'use linux/amd64, linux/arm64, linux/ppc64le, linux/s390x or linux/riscv64',
      },
    );
  }

  /** What FROM names: a stage above, nothing, a target's image, or one of a registry. */
  async #below(stage: Stage, text: string, platform: Platform): Promise<Made> {
    const { line, meaning } = stage.from;
    if (text === 'scratch') return empty(platform);
    const above = this.#stageBelow(stage);
    if (above !== undefined) return await this.#stage(above);
    return await this.#image(text, platform, line, meaning.image);
  }

  #image(text: string, platform: Platform, line: LogicalLine, word: Word): Promise<Made> {
    const key = `${platform.architecture} ${text}`;
    let made = this.#images.get(key);
    if (made === undefined) {
      made = this.#takeImage(text, platform, line, word);
      this.#images.set(key, made);
    }
    return made;
  }

  async #layoutOf(text: string, { architecture }: Platform, line: LogicalLine, word: Word): Promise<string> {
    if (!isLabel(text)) return await pinnedImage(this.#request, text, architecture, line, word);
    const layout = this.#request.imageOf(text);
    if (layout !== undefined) return layout;
    throw new DockerfileFault('dockerfile/undeclared-image', `${text} is not declared by the target`, {
      place: placeOf(line, word),
      next: `add it to the docker_image: base_image = "${text}", or base_images = ["${text}"] where there are several`,
    });
  }

  async #takeImage(text: string, platform: Platform, line: LogicalLine, word: Word): Promise<Made> {
    const { store } = this.#request;
    const { architecture } = platform;
    const layout = await this.#layoutOf(text, platform, line, word);
    let base: Awaited<ReturnType<typeof takeBase>>;
    try {
      base = await takeBase(store, layout, architecture);
    } catch (error) {
      if (!(error instanceof ImageFault)) throw error;
      throw new DockerfileFault('dockerfile/unknown-image', `${text} can't be used: ${error.message}`, {
        place: placeOf(line, word),
        notes: error.notes,
        next: error.next,
        cause: error,
      });
    }
    let tree: Promise<Tree> | undefined;
    return {
      platform,
      ...base,
      author: undefined,
      args: new Map(),
      tree: () => (tree ??= this.#treeOf(base)),
    };
  }

  async #treeOf({ layers, diffIds }: Pick<Made, 'layers' | 'diffIds'>): Promise<Tree> {
    const { store } = this.#request;
    for (const [index, layer] of layers.entries()) {
      const diffId = diffIds[index];
      if (diffId === undefined || (await store.size(diffId)) !== undefined) continue;
      const compression = layer.mediaType.endsWith('gzip')
        ? 'gzip'
        : layer.mediaType.endsWith('zstd')
          ? 'zstd'
          : undefined;
      if (compression === undefined) {
        throw new ImageFault('image/bad-layout', `a layer has the unknown media type ${layer.mediaType}`);
      }
      const source = createReadStream(store.path(layer.digest), { highWaterMark: 256 * 1024 });
      const what = `layer ${layer.digest}`;
      const bytes = bounded(decompress(source, compression, what), layer.size, what);
      await store.put(bytes, { digest: diffId, durable: false });
    }
    return await treeOfLayers(store, diffIds);
  }

  #contextTree(): Promise<Tree> {
    const { context, ignore } = this.#request;
    this.#context ??= contextTree(context, ignore && ignoreFilter(ignore.file, ignore.text));
    return this.#context;
  }

  async #changesOf(
    stage: Stage,
    { line, keywordWord }: Instruction,
    step: CopyStep | FolderStep,
    tree: Tree,
    file: string,
  ): Promise<Changes> {
    if (step.kind === 'folder') return await this.#makeFolder(recordChanges(tree), step, line, keywordWord);
    const { store, signal } = this.#request;
    const warn = (message: string) => this.#warn(file, [{ line: line.pieces[0]?.line ?? 1, message }]);
    const source = await this.#sourceOf(stage, step, line);
    return await carryOutCopy({ store, signal, step, line, tree, ...source, warn });
  }

  async #sourceOf(
    stage: Stage,
    { from }: CopyStep,
    line: LogicalLine,
  ): Promise<{ source: Tree; what: string; byName?: (name: string) => string | undefined }> {
    if (from === undefined) {
      const byName = (name: string) => onlyFileNamed(this.#request.context, name);
      return { source: await this.#contextTree(), what: 'the context', byName };
    }
    const name = from.text;
    const { stages } = this.#dockerfile;
    const isNamed = ({ from: { meaning } }: Stage) => meaning.stage === name.toLowerCase();
    const numbered = /^[0-9]{1,6}$/.test(name) ? stages[Number(name)] : undefined;
    const found = stages.slice(0, stage.index).findLast(isNamed) ?? numbered ?? stages.find(isNamed);
    if (found !== undefined && found.index < stage.index) {
      return { source: await (await this.#stage(found)).tree(), what: `stage ${name}` };
    }
    if (found !== undefined || /^[0-9]+$/.test(name)) {
      const known = stages.slice(0, stage.index).map((each) => each.from.meaning.stage ?? String(each.index));
      throw new DockerfileFault('dockerfile/unknown-stage', `no stage ${name} stands above this one`, {
        place: placeOf(line, from),
        next: known.length === 0 ? 'move that stage above this one' : `use one of ${known.join(', ')}`,
      });
    }
    return { source: await (await this.#image(name, this.#platformOf(stage), line, from)).tree(), what: name };
  }

  async #makeFolder(
    changes: Changes,
    { path, owner: user }: FolderStep,
    line: LogicalLine,
    word: Word,
  ): Promise<Changes> {
    const place = resolvePath(changes.tree, partsOf(path));
    if (place !== undefined && changes.tree.at(place)?.type === 'directory') return changes;
    const owner = user === undefined ? { uid: 0, gid: 0 } : await findOwner(user, changes.tree, line, word);
    const blocked = place === undefined ? partsOf(path) : changes.makeFolders(place, owner);
    if (blocked === undefined) return changes;
    throw new DockerfileFault('dockerfile/bad-destination', `/${blocked.join('/')} is not a folder`, {
      place: placeOf(line, word),
    });
  }

  async #writeLayer(changes: Changes): Promise<{ digest: Digest; size: number } | undefined> {
    const { store } = this.#request;
    const { entries, identities } = changes.entries();
    if (entries.length === 0) return undefined;
    return storeLayer(store, entries, identities);
  }
}

function onlyFileNamed(context: readonly ContextFile[], name: string): string | undefined {
  const found = context.filter(({ path }) => path.endsWith(`/${name}`));
  return found.length === 1 ? found[0]?.path : undefined;
}

/** `linux/arm64`, `linux/arm64/v8` */
function architectureOf(platform: string): Architecture | undefined {
  return /^linux\/(amd64|arm64|ppc64le|s390x|riscv64)(?:\/v8)?$/.exec(platform)?.[1] as Architecture | undefined;
}

function platformArgument(platform: string | undefined): Architecture | undefined {
  const architecture = platform === undefined ? undefined : architectureOf(platform);
  if (platform === undefined || architecture !== undefined) return architecture;
  throw new DockerfileFault(
    'dockerfile/bad-argument',
    `${JSON.stringify(platform)} is no platform that images are made for`,
    { next: 'use linux/amd64, linux/arm64, linux/ppc64le, linux/s390x or linux/riscv64' },
  );
}

function targetStage({ stages, source }: Dockerfile, target: string | undefined): Stage {
  const last = stages.at(-1);
  if (last === undefined) throw new Error('a Dockerfile has a stage');
  if (target === undefined) return last;
  const found =
    stages.findLast(({ from }) => from.meaning.stage === target.toLowerCase()) ??
    (/^[0-9]+$/.test(target) ? stages[Number(target)] : undefined);
  if (found !== undefined) return found;
  const names = stages.flatMap(({ from }) => from.meaning.stage ?? []);
  throw new DockerfileFault('dockerfile/unknown-stage', `${source.file} has no stage ${JSON.stringify(target)}`, {
    place: { file: source.file },
    next: names.length === 0 ? 'name a stage with FROM ... AS, or leave target out' : `use one of ${names.join(', ')}`,
  });
}

function empty(platform: Platform): Made {
  return {
    platform,
    layers: [],
    diffIds: [],
    history: [],
    config: emptyConfig,
    author: undefined,
    args: new Map(),
    tree: async () => emptyTree(),
  };
}

/** What a base image wants done by images on it. */
function triggerInstructions(triggers: unknown, image: string): Stage['instructions'] {
  if (!Array.isArray(triggers)) return [];
  return triggers.flatMap((trigger, index) => {
    if (typeof trigger !== 'string') return [];
    const source = { file: `ONBUILD ${index + 1} of ${image}`, text: `FROM scratch\n${trigger}\n` };
    return parseDockerfile(source).stages.flatMap(({ instructions }) => instructions);
  });
}
