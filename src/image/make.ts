import { assembleImage, type ImageConfig, type LayerFile, type StoredLayer } from './assemble.ts';
import { certificateBundle, certificateEntries } from './certificates.ts';
import { settleLinks } from './debian/package-links.ts';
import { digestOf } from './digest.ts';
import { ImageFault } from './fault.ts';
import { contentEntries, type LayerContent } from './files.ts';
import { storeLayer } from './layer-record.ts';
import { type AssembledImage, layoutBlob, readImageLayout } from './layout.ts';
import { layerBytes, readLower } from './lower.ts';
import { mediaTypes } from './manifest.ts';
import { type Architecture, machineArchitecture } from './platform.ts';
import { type Accounts, accountsOf, type Group, ownerOf, rootEntries, type User } from './skeleton.ts';
import type { BlobStore } from './store.ts';
import { arrange, type LayerEntry } from './tar/write.ts';

/** A layer with a name of its own. */
export interface ImageLayer extends LayerContent {
  readonly name: string;
}

export interface MakeRequest extends LayerContent {
  readonly store: BlobStore;
  /** Layout folder to write; replaced as a whole. */
  readonly output: string;
  /** Layout folder of the image below. */
  readonly base?: string | undefined;
  /** Layers of Debian packages; their order does not matter. */
  readonly packages: readonly LayerFile[];
  /** From the lowest to the topmost, above the packages; what changes seldom belongs low. */
  readonly layers?: readonly ImageLayer[] | undefined;
  readonly users?: Readonly<Record<string, User>> | undefined;
  readonly groups?: Readonly<Record<string, Group>> | undefined;
  /** Paths of PEM files: authorities that programs in the image trust besides those of its packages. */
  readonly certificates?: readonly string[] | undefined;
  readonly config: ImageConfig;
  readonly architecture?: Architecture | undefined;
}

/**
 * What `docker_image` does: a layer for each package, then accounts and folders, then certificates, then the layers with a
 * name, then the files. Images with the same packages share those layers, and a change of a program is a change of the
 * topmost layer alone.
 *
 * @throws ImageFault image/bad-file, image/bad-user, image/bad-layout
 */
export async function makeImage(request: MakeRequest): Promise<AssembledImage> {
  const { store } = request;
  const packages = await storePackages(request);
  const layers: StoredLayer[] = [...packages];
  const add = async (createdBy: string, entries: readonly LayerEntry[]) => {
    if (entries.length > 0) layers.push({ ...(await storeLayer(store, entries, entries.map(identityOf))), createdBy });
  };
  await add(
    'alternatives and diversions of packages',
    arrange(await settleLinks(store, await packagesBelow(request, packages))),
  );
  const accounts = await accountsIn(request);
  const skeleton = accountLayer(request, accounts);
  await add('accounts and folders', arrange(skeleton));
  await add('certificates', arrange(await certificateLayer(request, packages)));
  // Folders below keep their mode and owner where something new lies in them.
  const known = new Map<string, LayerEntry>();
  for (const entry of [...rootEntries(), ...skeleton]) if (entry.type === 'directory') known.set(entry.path, entry);
  const own = [
    ...(request.layers ?? []).map((layer) => ({ createdBy: `files ${layer.name}`, layer })),
    { createdBy: 'files', layer: request },
  ];
  const claimed = new Map<string, string>();
  for (const { createdBy, layer } of own) {
    const entries = arrange(await contentEntries(withOwners(layer, accounts)), known);
    for (const entry of entries) {
      if (entry.type === 'directory') known.set(entry.path, entry);
      else refuseTwice(claimed, entry.path, createdBy);
    }
    await add(createdBy, entries);
  }
  const user = numericUser(request.config.user, accounts);
  return assembleImage({ ...request, layers, config: { ...request.config, ...(user !== undefined && { user }) } });
}

async function storePackages({ store, packages }: MakeRequest): Promise<(StoredLayer & { createdBy: string })[]> {
  const stored: (StoredLayer & { createdBy: string })[] = [];
  for (const { path, digest, createdBy } of packages) {
    stored.push({ ...(await store.putFile(path, { digest })), createdBy: createdBy ?? 'debian package' });
  }
  // By name, then by content: never by the order in which somebody listed or built them.
  return stored.sort((a, b) => compare(a.createdBy, b.createdBy) || compare(a.digest, b.digest));
}

/** Those of the base too, where the packages of the image itself may want to have a say about them. */
async function packagesBelow(
  { store, base, architecture = machineArchitecture() }: MakeRequest,
  packages: readonly StoredLayer[],
): Promise<readonly StoredLayer[]> {
  if (base === undefined || packages.length === 0) return packages;
  const { manifest } = await readImageLayout(base, architecture);
  const below: StoredLayer[] = [];
  // Layers with links of packages are those that are made here, which are not compressed.
  for (const { digest, size, mediaType } of manifest.layers)
    if (mediaType === mediaTypes.layer) below.push(await store.putFile(layoutBlob(base, digest), { digest, size }));
  // The base's own packages may be asked for again.
  return [...below, ...packages.filter(({ digest }) => !below.some((each) => each.digest === digest))];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Everyone whom the image will know. The base's own files are read only where names have to be looked up or added. */
async function accountsIn(request: MakeRequest): Promise<Accounts> {
  const { users = {}, groups = {} } = request;
  if (request.base === undefined || !(asksForAccounts(request) || namesAccounts(request)))
    return accountsOf({ users, groups });
  const found = await readBase(request.base, request.architecture, ['etc/passwd', 'etc/group']);
  const existing = {
    passwd: found.get('etc/passwd')?.toString('utf8') ?? '',
    group: found.get('etc/group')?.toString('utf8') ?? '',
  };
  return accountsOf({ users, groups, existing });
}

function asksForAccounts({ users = {}, groups = {} }: MakeRequest): boolean {
  return Object.keys(users).length > 0 || Object.keys(groups).length > 0;
}

function namesAccounts({ config, layers = [], ...own }: MakeRequest): boolean {
  const named = (text: string | undefined) => text !== undefined && /[a-z]/.test(text);
  const content = [...layers, own].flatMap(({ files = [], folders = [] }) => [...files, ...folders]);
  return named(config.user) || content.some(({ owner }) => named(owner));
}

function accountLayer(request: MakeRequest, { entries }: Accounts): LayerEntry[] {
  if (request.base === undefined) return [...rootEntries(), ...entries];
  return asksForAccounts(request) ? [...entries] : [];
}

async function certificateLayer(
  { certificates = [], base, architecture, store }: MakeRequest,
  packages: readonly (StoredLayer & { createdBy: string })[],
): Promise<LayerEntry[]> {
  if (certificates.length === 0) return [];
  const authorities = packages.find(({ createdBy }) => createdBy.startsWith('debian ca-certificates '));
  const found =
    authorities !== undefined
      ? await readLower([() => streamOf(store.open(authorities.digest))], [certificateBundle])
      : base !== undefined
        ? await readBase(base, architecture, [certificateBundle])
        : new Map<string, Buffer>();
  return certificateEntries(certificates, found.get(certificateBundle)?.toString('latin1') ?? '');
}

async function* streamOf(stream: Promise<AsyncIterable<Uint8Array>>): AsyncGenerator<Uint8Array> {
  yield* await stream;
}

async function readBase(
  base: string,
  architecture: Architecture = machineArchitecture(),
  paths: readonly string[],
): Promise<ReadonlyMap<string, Buffer>> {
  const { manifest } = await readImageLayout(base, architecture);
  return readLower(
    manifest.layers.map((layer) => () => layerBytes(base, layer)),
    paths,
  );
}

/** What is in memory is named by its sum; a file without a name is read each time. */
function identityOf({ content }: LayerEntry): string | undefined {
  if (content === undefined) return '';
  return content instanceof Uint8Array ? digestOf(content) : content.identity;
}

function withOwners({ files = [], folders = [], links }: LayerContent, accounts: Accounts): LayerContent {
  const resolve = <T extends { readonly owner?: string | undefined }>(each: T): T =>
    each.owner === undefined ? each : { ...each, ...ownerOf(each.owner, accounts) };
  return { files: files.map(resolve), folders: folders.map(resolve), links };
}

function refuseTwice(claimed: Map<string, string>, path: string, layer: string): void {
  const before = claimed.get(path);
  if (before !== undefined && before !== layer) {
    throw new ImageFault('image/bad-file', `two layers claim the path /${path}: ${before}, ${layer}`);
  }
  claimed.set(path, layer);
}

/**
 * In numbers: Kubernetes takes an image with `runAsNonRoot` only where its user is one. A runtime would refuse to start a container
 * as somebody whom the image does not know, so that this is an error here.
 */
function numericUser(user: string | undefined, accounts: Accounts): string | undefined {
  if (user === undefined) return undefined;
  if (!/^[a-z0-9_][a-z0-9_-]*(:[a-z0-9_][a-z0-9_-]*)?$/.test(user)) {
    throw new ImageFault('image/bad-user', `${JSON.stringify(user)} is not a user such as 65532:65532`);
  }
  const { uid, gid } = ownerOf(user, accounts);
  return /^\d+(:\d+)?$/.test(user) ? user : `${uid}:${gid}`;
}
