import { formatReference, type Reference } from '../names.ts';
import { certificatesOf } from './certificates.ts';
import type { RegistryTransport } from './transport.ts';

/** What a workspace says of a registry; PEM texts, as `RegistryTransport` has them. */
export interface RegistrySetting {
  /** Authorities beside the system's. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly plainHttp?: boolean;
  /** Registries with a path, where there is one, asked before this one when something is pulled, in this order. */
  readonly mirrors?: readonly string[];
}

/** By registry, or registry and the first parts of a repository: `docker.io`, `docker.io/library`. The longest that fits counts. */
export type RegistrySettings = Readonly<Record<string, RegistrySetting>>;

/** A place where a repository is to be had. */
export interface Endpoint {
  readonly registry: string;
  readonly repository: string;
  readonly transport: RegistryTransport;
}

/**
 * Where to ask for a repository: mirrors first, then the registry itself.
 *
 * @param transport given by the caller: it is used as it is, and there are no mirrors
 */
export async function endpointsOf(
  reference: Pick<Reference, 'registry' | 'repository'>,
  settings: RegistrySettings | undefined,
  transport: RegistryTransport | undefined,
): Promise<Endpoint[]> {
  const { registry, repository } = reference;
  if (transport !== undefined) return [{ registry, repository, transport }];
  const found = settingFor(settings, registry, repository);
  const mirrors = (found?.setting.mirrors ?? []).map((mirror) => {
    const slash = mirror.indexOf('/');
    const rest = repository.slice(found?.prefix.length ?? 0).replace(/^\//, '');
    const host = slash < 0 ? mirror : mirror.slice(0, slash);
    return {
      registry: host,
      repository: slash < 0 ? repository : [mirror.slice(slash + 1), rest].filter(Boolean).join('/'),
    };
  });
  return Promise.all(
    [...mirrors, { registry, repository }].map(async (place) => ({
      ...place,
      transport: await transportFor(place.registry, settingFor(settings, place.registry, place.repository)?.setting),
    })),
  );
}

function settingFor(
  settings: RegistrySettings = {},
  registry: string,
  repository: string,
): { readonly setting: RegistrySetting; readonly prefix: string } | undefined {
  const name = formatReference({ registry, repository });
  let longest: string | undefined;
  for (const key of Object.keys(settings)) {
    if ((name === key || name.startsWith(`${key}/`)) && key.length > (longest?.length ?? -1)) longest = key;
  }
  if (longest === undefined) return undefined;
  return { setting: settings[longest]!, prefix: longest.slice(registry.length + 1) };
}

async function transportFor(registry: string, setting: RegistrySetting = {}): Promise<RegistryTransport> {
  const { moreCa, cert, key } = await certificatesOf(registry);
  const authorities = [moreCa, setting.ca].filter((text) => text !== undefined).join('\n');
  const own = setting.cert === undefined ? { cert, key } : { cert: setting.cert, key: setting.key };
  return {
    certificatesFor: certificatesOf,
    ...(authorities !== '' && { moreCa: authorities }),
    ...(own.cert !== undefined && { cert: own.cert }),
    ...(own.key !== undefined && { key: own.key }),
    ...(setting.plainHttp !== undefined && { plainHttp: setting.plainHttp }),
  };
}
