import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuiltFile, readZip, unpack } from '../../build/index.ts';
import { isFault } from '../../fault/index.ts';

/**
 * Licences that a jar states: in the pom.xml that Maven puts into it, or in its manifest (OSGi's Bundle-License). Nothing where it
 * says nothing.
 */
export async function licencesOfJar(files: readonly BuiltFile[]): Promise<string[]> {
  const [jar] = files;
  if (jar === undefined) return [];
  try {
    const entries = await readZip(jar.absolute, jar.path);
    const texts = (pattern: RegExp) =>
      entries.filter(({ name }) => pattern.test(name)).map((entry) => unpack(entry, jar.path).toString('utf8'));
    const poms = texts(/^META-INF\/maven\/[^/]+\/[^/]+\/pom\.xml$/);
    // Several: a jar with others in it. Whose licence is whose can't be told from here.
    const [, block = ''] = (poms.length === 1 && /<licenses>([\s\S]*?)<\/licenses>/.exec(poms[0]!)) || [];
    const named = [...block.matchAll(/<license>[\s\S]*?<name>\s*([^<]+?)\s*<\/name>/g)].map(([, name = '']) => name);
    if (named.length > 0) return named;
    const [manifest = ''] = texts(/^META-INF\/MANIFEST\.MF$/);
    // Lines are folded after 72 bytes.
    const bundle = /^Bundle-License: ?(.+)$/m.exec(manifest.replace(/\r?\n /g, ''))?.[1];
    const licence = bundle?.split(/[;,]/)[0]?.trim().replace(/^"|"$/g, '');
    return licence === undefined || licence === '' || /^https?:/.test(licence) ? [] : [licence];
  } catch (error) {
    if (isFault(error)) return [];
    throw error;
  }
}

/** Bytes of a METADATA file that are read: the description behind the fields may be long. */
const metadataHead = 64 * 1024;

/**
 * Licences that an unpacked wheel states: License-Expression, else License, else its classifiers. Core metadata specifications of
 * Python packages, version 2.4.
 */
export async function licencesOfWheel(files: readonly BuiltFile[]): Promise<string[]> {
  const [folder] = files;
  if (folder === undefined || folder.kind !== 'folder') return [];
  const names = await readdir(folder.absolute).catch(() => []);
  const infos = names.filter((name) => name.endsWith('.dist-info'));
  if (infos.length !== 1) return [];
  return licencesOfMetadata(await readFile(join(folder.absolute, infos[0]!, 'METADATA'), 'utf8').catch(() => ''));
}

/** The same of a wheel as it came. */
export async function licencesOfWheelFile({ absolute, path }: BuiltFile): Promise<string[]> {
  try {
    const metadata = (await readZip(absolute, path)).find(({ name }) => /^[^/]+\.dist-info\/METADATA$/.test(name));
    return metadata === undefined ? [] : licencesOfMetadata(unpack(metadata, path).toString('utf8'));
  } catch (error) {
    if (isFault(error)) return [];
    throw error;
  }
}

function licencesOfMetadata(text: string): string[] {
  const [head = ''] = text.slice(0, metadataHead).split(/\r?\n\r?\n/);
  const fields = (name: string) =>
    [...head.matchAll(new RegExp(`^${name}:[ \\t]*(\\S[^\\r\\n]*)`, 'gim'))].map(([, value = '']) => value.trim());
  const [expression] = fields('License-Expression');
  if (expression !== undefined) return [expression];
  // Some put the whole text there.
  const [licence] = fields('License').filter((value) => value.length <= 100 && value !== 'UNKNOWN');
  if (licence !== undefined) return [licence];
  return fields('Classifier').flatMap((value) =>
    value.startsWith('License ::') ? (value.split(' :: ').at(-1) ?? []) : [],
  );
}
