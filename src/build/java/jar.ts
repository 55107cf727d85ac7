import { BuildFault } from '../fault.ts';
import type { BuiltFile } from '../types.ts';
import { readZip, unpack } from '../zip/read.ts';
import { stored, writeZip, type ZipEntry } from '../zip/write.ts';

const manifestName = 'META-INF/MANIFEST.MF';

export interface JarOptions {
  /** Of the manifest's main section. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** A manifest that these are added to. */
  readonly manifest?: string;
  /** What comes before the archive, so that it can be run as it is. */
  readonly preamble?: string;
}

/** Writes a jar: the manifest first, as the JAR specification wants it, and the rest in the order given. */
export async function writeJar(
  path: string,
  entries: readonly ZipEntry[],
  { attributes = {}, manifest: given, preamble }: JarOptions = {},
): Promise<void> {
  const text = given === undefined ? manifest(attributes) : joined(given, attributes);
  await writeZip(
    path,
    [stored(manifestName, Buffer.from(text)), ...entries],
    preamble === undefined ? {} : { prefix: preamble, mode: 0o755 },
  );
}

/** A manifest with further attributes in its main section, which ends at the first empty line. */
function joined(given: string, attributes: Readonly<Record<string, string>>): string {
  const [main = '', ...sections] = given.replaceAll('\r\n', '\n').trimEnd().split(/\n\n+/);
  const known = (name: string) => new RegExp(`^${name}:`, 'im').test(main);
  const more = Object.entries({ 'Manifest-Version': '1.0', ...attributes }).filter(([name]) => !known(name));
  const version = more.filter(([name]) => name === 'Manifest-Version').map(([name, value]) => `${name}: ${value}`);
  const rest = more.filter(([name]) => name !== 'Manifest-Version').map(([name, value]) => fold(`${name}: ${value}`));
  const first = [...version, ...main.split('\n'), ...rest].join('\r\n');
  return [first, ...sections.map((section) => section.replaceAll('\n', '\r\n'))]
    .map((part) => `${part}\r\n\r\n`)
    .join('');
}

/** JAR File Specification, "Name-Value pairs and Sections": lines of at most 72 bytes, continued with a space. */
function manifest(attributes: Readonly<Record<string, string>>): string {
  const lines = ['Manifest-Version: 1.0', ...Object.entries(attributes).map(([name, value]) => `${name}: ${value}`)];
  return `${lines.map(fold).join('\r\n')}\r\n\r\n`;
}

function fold(line: string): string {
  const parts = [line.slice(0, 72)];
  for (let at = 72; at < line.length; at += 71) parts.push(` ${line.slice(at, at + 71)}`);
  return parts.join('\r\n');
}

/** Files of META-INF that say something of one jar and would be wrong of the whole: its signature, its index, its module. */
const dropped =
  /^(META-INF\/(MANIFEST\.MF|INDEX\.LIST|[^/]+\.(SF|RSA|DSA|EC))|(META-INF\/versions\/\d+\/)?module-info\.class)$/i;
const services = /^META-INF\/services\/[^/]+$/;

export interface MergedJars {
  readonly entries: ZipEntry[];
  /** One of the jars holds classes for later versions of Java. */
  readonly multiRelease: boolean;
}

/**
 * Joins jars into one, in the order of a class path: of two entries with one name the first counts, as it would on the
 * class path; lists of services are joined.
 *
 * @throws BuildFault build/bad-archive
 */
export async function mergeJars(own: readonly ZipEntry[], jars: readonly BuiltFile[]): Promise<MergedJars> {
  const entries = new Map<string, ZipEntry>();
  const lists = new Map<string, string[]>();
  let multiRelease = false;
  const add = (entry: ZipEntry, shown: string) => {
    if (entry.name.endsWith('/')) return;
    if (entry.name === manifestName) {
      multiRelease ||= /^Multi-Release:\s*true\s*$/im.test(unpack(entry, shown).toString('utf8'));
    }
    if (dropped.test(entry.name)) return;
    if (services.test(entry.name)) {
      const known = lists.get(entry.name) ?? [];
      for (const line of unpack(entry, shown).toString('utf8').split(/\r?\n/)) {
        if (line.trim() !== '' && !known.includes(line)) known.push(line);
      }
      lists.set(entry.name, known);
    } else if (!entries.has(entry.name)) entries.set(entry.name, entry);
  };
  for (const entry of own) add(entry, 'the target itself');
  for (const { absolute, path } of jars) for (const entry of await readZip(absolute, path)) add(entry, path);
  for (const [name, lines] of lists) entries.set(name, stored(name, Buffer.from(`${lines.join('\n')}\n`)));
  return { entries: [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), multiRelease };
}

/** @throws BuildFault build/bad-config where a jar does not hold the class */
export function checkMainClass(entries: readonly ZipEntry[], mainClass: string, label: string): void {
  const name = `${mainClass.replaceAll('.', '/')}.class`;
  if (entries.some((entry) => entry.name === name)) return;
  throw new BuildFault('build/bad-config', `${label} has no class ${mainClass}`, {
    next: 'correct main_class: the package and the name of the class, such as bank.ledger.Main',
  });
}
