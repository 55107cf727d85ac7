import { canonicalJson } from './canonical.ts';
import type { Digest } from './digest.ts';
import { ImageFault } from './fault.ts';
import { type AssembledImage, layoutBlob, readImageLayout, writeLayout } from './layout.ts';
import { type Descriptor, mediaTypes } from './manifest.ts';
import { tagFor } from './names.ts';
import { type Architecture, machineArchitecture } from './platform.ts';
import type { BlobStore } from './store.ts';

/** How a container of the image is run. image-spec config.md. */
export interface ImageConfig {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A name or number, `:group` if wanted. `65532:65532` unless told, or the base image's. */
  readonly user?: string;
  readonly workdir?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `8080/tcp` */
  readonly exposedPorts?: readonly string[];
  readonly volumes?: readonly string[];
  /** `SIGTERM` is what is sent where this is absent. */
  readonly stopSignal?: string;
  readonly healthcheck?: Healthcheck;
}

/** How a runtime asks whether the container is well. Docker's addition to image-spec config.md; Kubernetes has probes in its place. */
export interface Healthcheck {
  /** `["NONE"]` turns off what the base has; `["CMD", ...]` is a program, `["CMD-SHELL", text]` a line for its shell. */
  readonly test: readonly string[];
  /** Nanoseconds, as the configuration has them; what is not there is the runtime's. */
  readonly interval?: number | undefined;
  readonly timeout?: number | undefined;
  readonly startPeriod?: number | undefined;
  readonly startInterval?: number | undefined;
  /** Failures in a row until the container counts as ill. */
  readonly retries?: number | undefined;
}

/** An uncompressed tar file. Where its SHA-256 is known and the store has it already, it is not read again. */
export interface LayerFile {
  readonly path: string;
  readonly digest?: Digest;
  /** Shown in the image's history, e.g. `debian libc6 2.36-9`. Part of the configuration, so of the tag. */
  readonly createdBy?: string;
}

/** A layer that is in the store. */
export interface StoredLayer {
  readonly digest: Digest;
  readonly size: number;
  readonly createdBy?: string;
}

/** The one time in an image: what it is called depends on what is in it and not on when it was made. */
export const created = '1970-01-01T00:00:00Z';

/** By which tools name an image of a layout. image-spec annotations.md. */
export const refName = 'org.opencontainers.image.ref.name';

export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface AssembleRequest {
  readonly store: BlobStore;
  /** Layout folder to write; replaced as a whole. */
  readonly output: string;
  /** Layout folder of the image below. */
  readonly base?: string | undefined;
  /** From the lowest to the topmost. */
  readonly layers: readonly (LayerFile | StoredLayer)[];
  readonly config: ImageConfig;
  /** This machine's unless told. */
  readonly architecture?: Architecture | undefined;
}

/**
 * Makes an image of layers and a configuration: the same input gives the same bytes, whoever runs this and when.
 *
 * @throws ImageFault image/bad-layout for a base that can't be used, image/wrong-content for a layer that has not the sum given
 */
export async function assembleImage(request: AssembleRequest): Promise<AssembledImage> {
  const { store, output, config } = request;
  const architecture = request.architecture ?? machineArchitecture();
  checkConfig(config);
  const base = await takeBase(store, request.base, architecture);
  const added: (Descriptor & { createdBy?: string | undefined })[] = [];
  for (const layer of request.layers) {
    const stored = 'path' in layer ? await store.putFile(layer.path, { digest: layer.digest }) : layer;
    // A layer twice means the same as once, where the first lies lowest: packages of the base may be asked for again.
    if ([...base.layers, ...added].some(({ digest }) => digest === stored.digest)) continue;
    added.push({ mediaType: mediaTypes.layer, digest: stored.digest, size: stored.size, createdBy: layer.createdBy });
  }
  const configuration = canonicalJson({
    architecture,
    ...(architecture === 'arm64' && { variant: 'v8' }),
    os: 'linux',
    created,
    config: configObject(config, base.config),
    rootfs: { type: 'layers', diff_ids: [...base.diffIds, ...added.map(({ digest }) => digest)] },
    history: [...base.history, ...added.map(({ createdBy }) => ({ created, created_by: createdBy ?? 'banksman' }))],
  });
  const layers: Descriptor[] = [...base.layers, ...added.map(({ createdBy: _, ...descriptor }) => descriptor)];
  return storeImage({ store, output, architecture, configuration, layers });
}

/**
 * Writes an image of layers that are in the store.
 *
 * @param image.configuration as image-spec config.md has it, in canonical JSON
 */
export async function storeImage(image: {
  readonly store: BlobStore;
  readonly output: string;
  readonly architecture: Architecture;
  readonly configuration: string;
  readonly layers: readonly Descriptor[];
}): Promise<AssembledImage> {
  const { store, output, architecture, layers } = image;
  // An image can be made again of what it was made of.
  const storedConfig = await store.put(image.configuration, { durable: false });
  const manifest = canonicalJson({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, ...storedConfig },
    layers,
  });
  const storedManifest = await store.put(manifest, { durable: false });
  const platform = { architecture, os: 'linux' };
  const blobs = [storedConfig.digest, ...layers.map(({ digest }) => digest)];
  const annotations = { [refName]: tagFor(storedConfig.digest) };
  await writeLayout(store, { mediaType: mediaTypes.manifest, ...storedManifest, platform, annotations }, blobs, output);
  return {
    layout: output,
    digest: storedManifest.digest,
    tag: tagFor(storedConfig.digest),
    configDigest: storedConfig.digest,
    layers: layers.map(({ digest, size, mediaType }) => ({ digest, size, mediaType })),
  };
}

/** What an image takes over from the one below it. */
export interface Base {
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
  readonly history: readonly Readonly<Record<string, unknown>>[];
  readonly config: Readonly<Record<string, unknown>>;
}

/** The image of a layout folder, its layers put into the store. Without a layout: one with nothing in it. */
export async function takeBase(
  store: BlobStore,
  layout: string | undefined,
  architecture: Architecture,
): Promise<Base> {
  if (layout === undefined) return { layers: [], diffIds: [], history: [], config: {} };
  const base = await readImageLayout(layout, architecture);
  const { configuration, manifest } = base;
  if (configuration.os !== 'linux' || configuration.architecture !== architecture) {
    throw new ImageFault(
      'image/bad-layout',
      `the base image is for ${configuration.os}/${configuration.architecture}, not linux/${architecture}`,
    );
  }
  for (const { digest, size } of manifest.layers) await store.putFile(layoutBlob(layout, digest), { digest, size });
  return {
    layers: manifest.layers.map(({ mediaType, digest, size }) => ({
      mediaType: ociLayerType(mediaType),
      digest,
      size,
    })),
    diffIds: configuration.diffIds,
    history: configuration.history,
    config: configuration.config,
  };
}

/** An OCI manifest names layers by OCI's media types, also those of an image that Docker made. */
function ociLayerType(mediaType: string): string {
  if (mediaType === 'application/vnd.docker.image.rootfs.diff.tar.gzip') return mediaTypes.layerGzip;
  return mediaType === 'application/vnd.docker.image.rootfs.diff.tar' ? mediaTypes.layer : mediaType;
}

/** image-spec config.md, "config". What the image does not say is the base's; a new entry point forgets the base's command. */
function configObject(config: ImageConfig, base: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const env = { PATH: defaultPath, ...envOf(base.Env), ...config.env };
  const { Cmd, ...rest } = base;
  return {
    ...rest,
    ...(Cmd !== undefined && config.entrypoint === undefined && { Cmd }),
    User: config.user ?? base.User ?? '65532:65532',
    WorkingDir: config.workdir ?? base.WorkingDir ?? '/',
    Env: Object.keys(env)
      .sort()
      .map((name) => `${name}=${env[name as keyof typeof env]}`),
    ...(config.entrypoint !== undefined && { Entrypoint: config.entrypoint }),
    ...(config.cmd !== undefined && { Cmd: config.cmd }),
    ...(config.stopSignal !== undefined && { StopSignal: config.stopSignal }),
    ...(config.healthcheck !== undefined && { Healthcheck: healthcheckObject(config.healthcheck) }),
    ...keySet('ExposedPorts', base, config.exposedPorts),
    ...keySet('Volumes', base, config.volumes),
    ...(config.labels !== undefined && { Labels: { ...(base.Labels as object | undefined), ...config.labels } }),
  };
}

function healthcheckObject(check: Healthcheck): Record<string, unknown> {
  const { test, interval, timeout, startPeriod, startInterval, retries } = check;
  return {
    Test: test,
    Interval: interval,
    Timeout: timeout,
    StartPeriod: startPeriod,
    StartInterval: startInterval,
    Retries: retries,
  };
}

function envOf(list: unknown): Record<string, string> {
  const pairs = Array.isArray(list) ? list.filter((entry) => typeof entry === 'string') : [];
  return Object.fromEntries(
    pairs.map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
  );
}

function checkHealthcheck(check: Healthcheck, bad: (message: string) => ImageFault): void {
  const [kind, ...words] = check.test;
  const fits = kind === 'NONE' ? words.length === 0 : kind === 'CMD' ? words.length > 0 : words.length === 1;
  if (!fits || !['NONE', 'CMD', 'CMD-SHELL'].includes(kind ?? '')) throw bad('the health check has no command');
  const times = [check.interval, check.timeout, check.startPeriod, check.startInterval, check.retries];
  for (const value of times) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0))
      throw bad(`${value} is not a time or count that a health check can have`);
  }
}

function keySet(
  name: string,
  base: Readonly<Record<string, unknown>>,
  keys: readonly string[] | undefined,
): Record<string, unknown> {
  if (keys === undefined) return {};
  return { [name]: { ...(base[name] as object | undefined), ...Object.fromEntries(keys.map((key) => [key, {}])) } };
}

function checkConfig(config: ImageConfig): void {
  const bad = (message: string) => new ImageFault('image/bad-file', message);
  if (config.workdir !== undefined && !config.workdir.startsWith('/')) {
    throw bad(`the working folder ${JSON.stringify(config.workdir)} is not an absolute path`);
  }
  for (const [name, value] of Object.entries(config.env ?? {})) {
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name))
      throw bad(`${JSON.stringify(name)} can't be the name of an environment variable`);
    if (value.includes('\0')) throw bad(`the environment variable ${name} has a zero byte`);
  }
  for (const word of [...(config.entrypoint ?? []), ...(config.cmd ?? [])]) {
    if (word.includes('\0')) throw bad('an argument of the program has a zero byte');
  }
  if (config.entrypoint?.[0] === '') throw bad('the entry point has an empty name');
  for (const path of config.volumes ?? []) {
    if (!path.startsWith('/') || /[\0\n]/.test(path))
      throw bad(`the volume ${JSON.stringify(path)} is not an absolute path`);
  }
  for (const name of Object.keys(config.labels ?? {})) {
    if (!/^[!-~]+$/.test(name) || name.includes('='))
      throw bad(`${JSON.stringify(name)} can't be the name of a label of an image`);
  }
  if (config.stopSignal !== undefined && !/^(SIG[A-Z0-9]+([+-]\d+)?|[1-9]\d?)$/.test(config.stopSignal))
    throw bad(`${JSON.stringify(config.stopSignal)} is not a signal such as SIGTERM`);
  if (config.healthcheck !== undefined) checkHealthcheck(config.healthcheck, bad);
  for (const port of config.exposedPorts ?? []) {
    if (!/^[1-9][0-9]{0,4}(\/(tcp|udp|sctp))?$/.test(port))
      throw bad(`${JSON.stringify(port)} is not a port such as 8080/tcp`);
  }
  if (config.user !== undefined && !/^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$/.test(config.user)) {
    throw new ImageFault('image/bad-user', `${JSON.stringify(config.user)} is not a user such as 65532:65532`);
  }
}
