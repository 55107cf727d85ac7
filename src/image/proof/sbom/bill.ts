import { createHash } from 'node:crypto';
import { canonicalJson } from '../../canonical.ts';
import type { Digest } from '../../digest.ts';
import type { Inventory } from './inventory.ts';
import { spdxId } from './licence.ts';
import { debianPurl, type Module, modulePurl, sumsOfIntegrity } from './module.ts';
import { packageUrl } from './package-url.ts';

export interface BillRequest {
  /** Repository without the registry: `bank/ledger`. */
  readonly name: string;
  readonly digest: Digest;
  readonly inventory: Inventory;
  readonly modules: readonly Module[];
  /** SHA-256 of .deb files in hex, by `name version architecture`. */
  readonly archives: ReadonlyMap<string, string>;
  /** Of Banksman. */
  readonly version: string;
}

type Component = Readonly<Record<string, unknown>> & { readonly 'bom-ref': string };

/**
 * The software bill of materials of an image: CycloneDX 1.6, JSON. The same image of the same packages and modules has the same
 * bill, byte for byte: it has no time, and its serial number is made of its content.
 */
export function billOfMaterials(request: BillRequest): Readonly<Record<string, unknown>> {
  const { name, digest, inventory, modules } = request;
  const image: Component = {
    'bom-ref': `image:${digest}`,
    type: 'container',
    name,
    version: digest,
    purl: packageUrl({ type: 'oci', name: name.split('/').at(-1) ?? name, version: digest }),
  };
  const components = unique([
    ...systemOf(inventory),
    ...inventory.packages.map((each) => packageComponent(each, request)),
    ...modules.map(moduleComponent),
    ...inventory.files.map(({ path, sha256, layer }) => ({
      'bom-ref': `file:/${path}#${sha256.slice(0, 12)}`,
      type: 'file',
      name: `/${path}`,
      hashes: [{ alg: 'SHA-256', content: sha256 }],
      properties: [{ name: 'banksman:layer', value: layer }],
    })),
  ]);
  const bill = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'banksman', version: request.version }] },
      component: image,
      ...(inventory.unlisted.length > 0 && {
        properties: inventory.unlisted.map(({ layer, files }) => ({
          name: 'banksman:unlisted-files',
          value: `${layer} has ${files} files, of which not all are listed`,
        })),
      }),
    },
    components,
    dependencies: [{ ref: image['bom-ref'], dependsOn: components.map((each) => each['bom-ref']) }],
  };
  return { ...bill, serialNumber: `urn:uuid:${uuidOf(canonicalJson(bill))}` };
}

function packageComponent(
  found: Inventory['packages'][number],
  { inventory: { system }, archives }: BillRequest,
): Component {
  const { name, version, architecture, layer, licences, unread } = found;
  const purl = debianPurl(found, system);
  const sha256 = archives.get(`${name} ${version} ${architecture}`);
  return {
    'bom-ref': purl,
    type: 'library',
    name,
    version,
    purl,
    ...(sha256 !== undefined && { hashes: [{ alg: 'SHA-256', content: sha256 }] }),
    // What it has is there, and nobody says what it is: the word is SPDX's.
    ...(unread === undefined ? licencesOf(licences) : { licenses: [{ license: { name: 'NOASSERTION' } }] }),
    properties: [
      ...(unread === undefined ? [] : [{ name: 'banksman:copyright-sha256', value: unread }]),
      { name: 'banksman:layer', value: layer },
    ],
  };
}

function moduleComponent(module: Module): Component {
  const {
    namespace,
    name,
    version,
    sha256,
    integrity = '',
    goSum,
    licences,
    label,
    archives = [],
    possible = [],
  } = module;
  const purl = modulePurl(module);
  const hashes = sha256 === undefined ? sumsOfIntegrity(integrity) : [{ alg: 'SHA-256', content: sha256 }];
  const properties = [
    ...possible.map((sum) => ({ name: 'banksman:possible-sha256', value: sum })),
    ...(goSum === undefined ? [] : [{ name: 'banksman:go-sum', value: goSum }]),
    ...(label === undefined ? [] : [{ name: 'banksman:label', value: label }]),
  ];
  return {
    'bom-ref': purl,
    type: 'library',
    ...(namespace !== '' && { group: namespace }),
    name,
    ...(version !== '' && { version }),
    purl,
    ...(hashes.length > 0 && { hashes }),
    ...licencesOf(licences),
    ...(archives.length > 0 && {
      components: archives.map((archive) => ({
        'bom-ref': modulePurl(module, archive),
        type: 'library',
        name: archive.name,
        ...(version !== '' && { version }),
        purl: modulePurl(module, archive),
        hashes: [{ alg: 'SHA-256', content: archive.sha256 }],
        ...licencesOf(archive.licences),
      })),
    }),
    ...(properties.length > 0 && { properties }),
  };
}

/** `acknowledgement`: they are what the package says of itself; nobody has concluded anything. */
function licencesOf(names: readonly string[]): { licenses?: object[] } {
  const licences = new Map<string, object>();
  for (const name of names) {
    const id = spdxId(name);
    licences.set(id ?? name, { license: { ...(id !== undefined ? { id } : { name }), acknowledgement: 'declared' } });
  }
  if (licences.size === 0) return {};
  return { licenses: [...licences].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, licence]) => licence) };
}

function systemOf({ system }: Inventory): Component[] {
  if (system === undefined) return [];
  const { id, version } = system;
  return [{ 'bom-ref': `os:${id}@${version}`, type: 'operating-system', name: id, ...(version !== '' && { version }) }];
}

/** References must be unique: what two targets bring is there once. */
function unique(components: readonly Component[]): Component[] {
  return [...new Map(components.map((each) => [each['bom-ref'], each])).values()];
}

/** RFC 9562, version 8: bits of one's own, here of a SHA-256. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
