import { readFile } from 'node:fs/promises';
import { pushImage, type RegistryTransport } from '../image/index.ts';
import type { Progress } from '../progress/index.ts';
import type { RegistryAccess } from './types.ts';

/** Brings images to the registry that the environment's cluster pulls from. What is there is not sent again. */
export async function pushImages(
  images: readonly { readonly layout: string; readonly reference: string }[],
  registry: RegistryAccess | undefined,
  { progress, signal }: { readonly progress: Progress; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const transport = registry && (await registryTransport(registry));
  const waiting = [...new Map(images.map((image) => [image.reference, image])).values()];
  const worker = async () => {
    for (let image = waiting.shift(); image !== undefined; image = waiting.shift()) {
      const own = transport !== undefined && image.reference.startsWith(`${registry?.name}/`);
      await pushImage({ ...image, ...(own && { transport }), progress, ...(signal && { signal }) });
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

/** How to reach the registry of an image; undefined for one that is reached by its name. */
export async function transportFor(
  reference: string,
  registry: RegistryAccess | undefined,
): Promise<RegistryTransport | undefined> {
  return registry !== undefined && reference.startsWith(`${registry.name}/`) ? registryTransport(registry) : undefined;
}

/** How to reach a registry that is not reached by its name. */
export async function registryTransport({
  socketPath,
  caPath,
  certPath,
  keyPath,
}: RegistryAccess): Promise<RegistryTransport> {
  const read = (path: string | undefined) => (path === undefined ? undefined : readFile(path, 'utf8'));
  const [ca, cert, key] = await Promise.all([read(caPath), read(certPath), read(keyPath)]);
  return {
    ...(socketPath !== undefined && { socketPath }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    credentials: 'anonymous',
  };
}
