import { packageUrl } from './package-url.ts';

/** An archive that a library came in. */
export interface ModuleArchive {
  /** File name. */
  readonly name: string;
  /** Hex. */
  readonly sha256: string;
  readonly licences: readonly string[];
}

/** A library that was built into a file of the image: the image itself does not tell of it any more. */
export interface Module {
  readonly ecosystem: 'maven' | 'golang' | 'npm' | 'pypi' | 'generic';
  /** Group of Maven, beginning of the path of a Go module; empty where there is none. */
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
  /** Hex. */
  readonly sha256?: string | undefined;
  /** Of a package of npm, as its lock has it (Subresource Integrity, W3C): `sha512-...`, several in a row. */
  readonly integrity?: string | undefined;
  /** Where it came in several archives, all of which are in the image: each. */
  readonly archives?: readonly ModuleArchive[] | undefined;
  /** Sums of the archives that it may be, where it is not known which one it is. Hex. */
  readonly possible?: readonly string[] | undefined;
  /** Of a Go module, as go.sum has it: `h1:...`. */
  readonly goSum?: string | undefined;
  /** Names or SPDX ids, as the package states them. */
  readonly licences: readonly string[];
  /** Where it was fetched from, where that is its only name. */
  readonly url?: string | undefined;
  /** The target that it comes from. */
  readonly label?: string | undefined;
}

/**
 * Sums by their names in CycloneDX, in hex.
 *
 * @param integrity as npm's lock has it
 */
export function sumsOfIntegrity(integrity: string): { readonly alg: string; readonly content: string }[] {
  return integrity.split(' ').flatMap((sum) => {
    const [, bits, text] = /^sha(1|256|384|512)-([A-Za-z0-9+/]+={0,2})$/.exec(sum) ?? [];
    const content = Buffer.from(text ?? '', 'base64').toString('hex');
    return content.length === (bits === '1' ? 160 : Number(bits)) / 4 ? [{ alg: `SHA-${bits}`, content }] : [];
  });
}

/** The package URL of a module. @param file one of its archives */
export function modulePurl(
  { ecosystem, namespace, name, version, sha256, url }: Module,
  file?: Pick<ModuleArchive, 'name'>,
): string {
  return packageUrl({
    type: ecosystem,
    namespace,
    // PyPI takes all of these for the same name.
    name: ecosystem === 'pypi' ? name.toLowerCase().replace(/[-_.]+/g, '-') : name,
    version: version === '' ? undefined : version,
    qualifiers: {
      ...(ecosystem === 'maven' && { type: 'jar' }),
      file_name: file?.name,
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
