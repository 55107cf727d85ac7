import { ImageFault } from '../fault.ts';
import type { Reference } from '../names.ts';
import { openRemoteRepository } from './registry.ts';
import type { RemoteRepository } from './remote.ts';
import { endpointsOf, type RegistrySettings } from './settings.ts';
import type { RegistryTransport } from './transport.ts';

/** How the registries of a request are reached. */
export interface RegistryAccessOptions {
  /** What the workspace says of registries. */
  readonly registries?: RegistrySettings | undefined;
  /** In place of that, and of what is found on this machine. */
  readonly transport?: RegistryTransport | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads from a repository: each mirror is asked, then the registry itself, until one has it. The registry's own failure is
 * the one that is thrown, with the mirrors' beside it.
 */
export async function fromEndpoints<T>(
  reference: Pick<Reference, 'registry' | 'repository'>,
  options: RegistryAccessOptions,
  body: (remote: RemoteRepository) => Promise<T>,
): Promise<T> {
  const endpoints = await endpointsOf(reference, options.registries, options.transport);
  const notes: string[] = [];
  for (const [position, endpoint] of endpoints.entries()) {
    const remote = openRemoteRepository({ ...endpoint, action: 'pull', signal: options.signal });
    try {
      return await body(remote);
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof ImageFault)) throw error;
      if (position < endpoints.length - 1) notes.push(`the mirror ${endpoint.registry}: ${error.message}`);
      else if (notes.length === 0) throw error;
      else
        throw new ImageFault(error.code, error.message, {
          notes: [...error.notes, ...notes],
          next: error.next,
          cause: error,
        });
    } finally {
      remote.close();
    }
  }
  throw new Error('there is always one endpoint');
}

/** Opens what can be written to: the registry itself, never a mirror. */
export async function openForPush(
  reference: Pick<Reference, 'registry' | 'repository'>,
  options: RegistryAccessOptions,
  mountFrom?: string,
): Promise<RemoteRepository> {
  const endpoint = (await endpointsOf(reference, options.registries, options.transport)).at(-1)!;
  return openRemoteRepository({ ...endpoint, action: 'pull,push', mountFrom, signal: options.signal });
}
