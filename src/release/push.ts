import { readFile } from 'node:fs/promises';
import {
  pushImage,
  type RegistryAccessOptions,
  type RegistrySettings,
  type RegistryTransport,
} from '../image/index.ts';
import type { Progress } from '../progress/index.ts';
import type { RegistryAccess } from './types.ts';

export { workspaceRegistries } from './building/registries.ts';

/** Brings images to the registry that the environment's cluster pulls from. What is there is not sent again. */
export async function pushImages(
  images: readonly { readonly layout: string; readonly reference: string }[],
  registry: RegistryAccess | undefined,
  {
    progress,
    signal,
    registries,
  }: {
    readonly progress: Progress;
    readonly signal?: AbortSignal | undefined;
    readonly registries?: RegistrySettings | undefined;
  },
): Promise<void> {
  const transport = registry && (await registryTransport(registry));
  const waiting = [...new Map(images.map((image) => [image.reference, image])).values()];
  const worker = async () => {
    for (let image = waiting.shift(); image !== undefined; image = waiting.shift()) {
      const own = transport !== undefined && image.reference.startsWith(`${registry?.name}/`);
      await pushImage({ ...image, ...(own && { transport }), registries, progress, ...(signal && { signal }) });
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

/** How registries are reached: one that is not reached by its name, and what the workspace says of others. */
export interface RegistryReach {
  readonly registry?: RegistryAccess | undefined;
  readonly registries?: RegistrySettings | undefined;
}

/** The same for the registry of one image. */
export async function reachOf(
  reference: string,
  { registry, registries }: RegistryReach,
): Promise<Pick<RegistryAccessOptions, 'transport' | 'registries'>> {
  const own = registry !== undefined && reference.startsWith(`${registry.name}/`);
  return { registries, ...(own && { transport: await registryTransport(registry) }) };
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
