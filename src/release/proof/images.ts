import type { ManifestDocument } from '../../manifest/index.ts';

/** Lists of containers, wherever a pod template stands in an object. */
const containerLists = new Set(['containers', 'initContainers', 'ephemeralContainers']);

/** References of all images that the objects' containers name, each once, sorted: those of others included. */
export function imagesIn(documents: readonly ManifestDocument[]): string[] {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const each of value) visit(each);
    if (Array.isArray(value) || value === null || typeof value !== 'object') return;
    for (const [key, member] of Object.entries(value)) {
      if (containerLists.has(key) && Array.isArray(member)) {
        for (const container of member) {
          const image: unknown = (container as { image?: unknown } | null)?.image;
          if (typeof image === 'string') found.add(image);
        }
      }
      // Volumes may be images too: Kubernetes mounts what `image.reference` names.
      if (key === 'image' && member !== null && typeof member === 'object') {
        const { reference } = member as { reference?: unknown };
        if (typeof reference === 'string') found.add(reference);
      }
      visit(member);
    }
  };
  for (const { object } of documents) visit(object);
  return [...found].sort();
}
