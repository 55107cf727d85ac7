import { packageUrl } from './package-url.ts';

/** A library that was built into a file of the image: the image itself does not tell of it any more. */
export interface Module {
  readonly ecosystem: 'maven' | 'golang' | 'pypi' | 'generic';
  /** Group of Maven, beginning of the path of a Go module; empty where there is none. */
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
  /** Hex. */
  readonly sha256?: string | undefined;
  /** Of a Go module, as go.sum has it: `h1:...`. */
  readonly goSum?: string | undefined;
  /** Names or SPDX ids, as the package states them. */
  readonly licences: readonly string[];
  /** Where it was fetched from, where that is its only name. */
  readonly url?: string | undefined;
  /** The target that it comes from. */
  readonly label?: string | undefined;
}

/** The package URL of a module. */
export function modulePurl({ ecosystem, namespace, name, version, sha256, url }: Module): string {
  return packageUrl({
    type: ecosystem,
    namespace,
    // PyPI takes all of these for the same name.
    name: ecosystem === 'pypi' ? name.toLowerCase().replace(/[-_.]+/g, '-') : name,
    version: version === '' ? undefined : version,
    qualifiers: {
      ...(ecosystem === 'maven' && { type: 'jar' }),
      ...(ecosystem === 'generic' && {
        download_url: url,
        checksum: sha256 === undefined ? undefined : `sha256:${sha256}`,
      }),
    },
  });
}

/** The package URL of a Debian package. @param system what os-release of the image says */
export function debianPurl(
  found: { readonly name: string; readonly version: string; readonly architecture: string; readonly source?: string },
  system: { readonly id: string; readonly version: string } | undefined,
): string {
  const { id = 'debian', version: release = '' } = system ?? {};
  const { name, version, architecture, source = name } = found;
  return packageUrl({
    type: 'deb',
    namespace: id,
    name,
    version,
    qualifiers: {
      arch: architecture,
      distro: release === '' ? undefined : `${id}-${release}`,
      // What vulnerabilities are told of is the source package: scanners look for it here.
      upstream: source === name ? undefined : source,
    },
  });
}
