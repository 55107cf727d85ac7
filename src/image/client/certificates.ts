import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ImageFault } from '../fault.ts';

/** Where Docker, Podman and skopeo look. containers-certs.d(5); docs.docker.com, "Verify repository client with certificates". */
function folders(): string[] {
  const own = process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config');
  return [join(own, 'containers/certs.d'), '/etc/containers/certs.d', '/etc/docker/certs.d'];
}

/** PEM texts for one registry. */
export interface Certificates {
  readonly moreCa?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * What the first `certs.d/<host:port>` folder that exists holds: `*.crt` are authorities, `*.cert` with `*.key` of the
 * same name a certificate of one's own.
 *
 * @throws ImageFault image/registry-unreachable where a certificate has no key, or a file can't be read
 */
export async function certificatesOf(host: string, places: readonly string[] = folders()): Promise<Certificates> {
  for (const place of places) {
    const folder = join(place, host);
    const names = await readdir(folder).catch(() => undefined);
    if (names === undefined) continue;
    const read = (name: string) =>
      readFile(join(folder, name), 'utf8').catch((cause: Error) => {
        throw new ImageFault('image/registry-unreachable', `${join(folder, name)} can't be read: ${cause.message}`, {
          cause,
        });
      });
    const authorities = await Promise.all(
      names
        .filter((name) => name.endsWith('.crt'))
        .sort()
        .map(read),
    );
    const certificate = names.filter((name) => name.endsWith('.cert')).sort()[0];
    if (certificate === undefined) return authorities.length === 0 ? {} : { moreCa: authorities.join('\n') };
    const key = certificate.replace(/\.cert$/, '.key');
    if (!names.includes(key))
      throw new ImageFault('image/registry-unreachable', `${join(folder, certificate)} has no ${key} beside it`);
    return {
      ...(authorities.length > 0 && { moreCa: authorities.join('\n') }),
      cert: await read(certificate),
      key: await read(key),
    };
  }
  return {};
}
