import { createReadStream } from 'node:fs';
import { bounded } from './bounded.ts';
import { decompress } from './debian/decompress.ts';
import { ImageFault } from './fault.ts';
import { layoutBlob } from './layout.ts';
import { type Descriptor, mediaTypes } from './manifest.ts';
import { readTar } from './tar/read.ts';

/** A layer's uncompressed bytes. @throws ImageFault image/bad-layout for a media type that is not known */
export function layerBytes(
  layout: string,
  { mediaType, digest, size }: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>,
): AsyncIterable<Uint8Array> {
  const stream = createReadStream(layoutBlob(layout, digest), { highWaterMark: 256 * 1024 });
  if (mediaType === mediaTypes.layer) return stream;
  const what = `layer ${digest}`;
  if (mediaType.endsWith('gzip')) return bounded(decompress(stream, 'gzip', what), size, what);
  if (mediaType === mediaTypes.layerZstd) return bounded(decompress(stream, 'zstd', what), size, what);
  throw new ImageFault('image/bad-layout', `${layout} has a layer of the unknown media type ${mediaType}`);
}

/** Bytes of one file that is looked at: accounts, certificates. */
const maximumSize = 16 * 1024 * 1024;

/**
 * Small files out of layers, as the topmost layer that has one has it.
 *
 * @param layers from the lowest to the topmost, each opened when it is needed
 * @param paths as layers have them: `etc/passwd`
 */
export async function readLower(
  layers: readonly (() => AsyncIterable<Uint8Array>)[],
  paths: readonly string[],
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const open of layers.toReversed()) {
    const here = new Map<string, Buffer>();
    for await (const entry of readTar(open(), 'a layer')) {
      if (!paths.includes(entry.path) || found.has(entry.path) || entry.type !== 'file' || entry.size > maximumSize)
        continue;
      const parts: Uint8Array[] = [];
      for await (const piece of entry.content()) parts.push(piece);
      here.set(entry.path, Buffer.concat(parts));
    }
    for (const [path, content] of here) found.set(path, content);
    if (found.size === paths.length) break;
  }
  return found;
}
