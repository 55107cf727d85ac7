import { createReadStream } from 'node:fs';
import { assembleImage, type ImageConfig, type LayerFile, type StoredLayer } from './assemble.ts';
import { decompress } from './debian/decompress.ts';
import { ImageFault } from './fault.ts';
import { fileEntries, type ImageFile } from './files.ts';
import { type AssembledImage, layoutBlob, readImageLayout } from './layout.ts';
import { type Descriptor, mediaTypes } from './manifest.ts';
import { type Architecture, machineArchitecture } from './platform.ts';
import { accountEntries, rootEntries } from './skeleton.ts';
import type { BlobStore } from './store.ts';
import { readTar } from './tar/read.ts';
import { arrange, type LayerEntry, writeTar } from './tar/write.ts';

/** Part of an action's key: goes up whenever makeImage gives another image for the same request. */
export const imageVersion = '1';

export interface MakeRequest {
  readonly store: BlobStore;
  /** Layout folder to write; replaced as a whole. */
  readonly output: string;
  /** Layout folder of the image below. */
  readonly base?: string | undefined;
  /** Layers of Debian packages; their order does not matter. */
  readonly packages: readonly LayerFile[];
  readonly files: readonly ImageFile[];
  /** Further accounts, name -> number; at home in /home/NAME, or in /var/lib/NAME below 1000. */
  readonly users?: Readonly<Record<string, number>> | undefined;
  readonly config: ImageConfig;
  readonly architecture?: Architecture | undefined;
}

/**
 * What `docker_image` does: a layer for each package, then accounts and folders, then the files. Images with the same
 * packages share those layers, and a change of a program is a change of the topmost layer alone.
 *
 * @throws ImageFault image/bad-file, image/bad-user, image/bad-layout
 */
export async function makeImage(request: MakeRequest): Promise<AssembledImage> {
  const { store, base, users = {} } = request;
  const packages: (StoredLayer & { createdBy: string })[] = [];
  for (const { path, digest, createdBy } of request.packages) {
    packages.push({ ...(await store.putFile(path, { digest })), createdBy: createdBy ?? 'debian package' });
  }
  // By name, then by content: never by the order in which somebody listed or built them.
  packages.sort((a, b) => compare(a.createdBy, b.createdBy) || compare(a.digest, b.digest));
  const layers: StoredLayer[] = packages;
  const accounts =
    base === undefined
      ? [...rootEntries(), ...accountEntries(users)]
      : Object.keys(users).length > 0
        ? accountEntries(users, await accountsOf(base, request.architecture))
        : [];
  if (accounts.length > 0) {
    layers.push({ ...(await store.put(writeTar(arrange(accounts)))), createdBy: 'accounts and folders' });
  }
  const files = await fileEntries(request.files);
  if (files.length > 0) {
    const known = new Map<string, LayerEntry>();
    for (const entry of [...rootEntries(), ...accounts]) if (entry.type === 'directory') known.set(entry.path, entry);
    layers.push({ ...(await store.put(writeTar(arrange(files, known)))), createdBy: 'files' });
  }
  return assembleImage({ ...request, layers });
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What the base image's /etc/passwd and /etc/group say; empty where it has none. */
async function accountsOf(
  base: string,
  architecture: Architecture = machineArchitecture(),
): Promise<{ passwd: string; group: string }> {
  const { manifest } = await readImageLayout(base, architecture);
  const found: { passwd?: string; group?: string } = {};
  for (const layer of manifest.layers.toReversed()) {
    for await (const entry of readTar(layerBytes(base, layer), `layer ${layer.digest}`)) {
      const name = entry.path === 'etc/passwd' ? 'passwd' : entry.path === 'etc/group' ? 'group' : undefined;
      if (name !== undefined && entry.type === 'file' && found[name] === undefined && entry.size <= 1024 * 1024) {
        const parts: Uint8Array[] = [];
        for await (const piece of entry.content()) parts.push(piece);
        found[name] = Buffer.concat(parts).toString('utf8');
      }
    }
    if (found.passwd !== undefined && found.group !== undefined) break;
  }
  return { passwd: found.passwd ?? '', group: found.group ?? '' };
}

function layerBytes(layout: string, { mediaType, digest }: Descriptor): AsyncIterable<Uint8Array> {
  const stream = createReadStream(layoutBlob(layout, digest), { highWaterMark: 256 * 1024 });
  if (mediaType === mediaTypes.layer) return stream;
  if (mediaType.endsWith('gzip')) return decompress(stream, 'gzip', `layer ${digest}`);
  if (mediaType === mediaTypes.layerZstd) return decompress(stream, 'zstd', `layer ${digest}`);
  throw new ImageFault('image/bad-layout', `the base image has a layer of the unknown media type ${mediaType}`);
}
