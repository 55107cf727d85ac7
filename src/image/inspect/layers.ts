import type { Digest } from '../digest.ts';
import type { LayoutContent } from '../layout.ts';

/** A layer with what its maker said of it. */
export interface DescribedLayer {
  readonly digest: Digest;
  /** Of the uncompressed layer. */
  readonly diffId: Digest;
  /** Bytes as stored. */
  readonly size: number;
  readonly mediaType: string;
  /** The history's words: `debian libc6 2.36-9`, `files`, or the command of a Dockerfile. Empty where it says nothing. */
  readonly purpose: string;
}

/** Layers with their entries of the history, those left out that made no layer. image-spec config.md, "history". */
export function describeLayers({ manifest, configuration }: LayoutContent): DescribedLayer[] {
  const made = configuration.history.filter((entry) => entry.empty_layer !== true);
  return manifest.layers.map(({ digest, size, mediaType }, index) => {
    // A history that does not fit tells of other layers than these.
    const text = made.length === manifest.layers.length ? made[index]?.created_by : undefined;
    return {
      digest,
      diffId: configuration.diffIds[index] ?? digest,
      size,
      mediaType,
      purpose: typeof text === 'string' ? text : '',
    };
  });
}
