import { open } from 'node:fs/promises';
import { mergedPath } from '../merged.ts';
import { type Content, fileEntry, type LayerEntry, symlinkEntry } from '../tar/write.ts';
import type { DebFile } from './deb.ts';
import type { PackageLinks } from './package-links.ts';
import { type Alternative, readScriptLinks } from './script-links.ts';
import { javaTruststore } from './truststore.ts';

/** What a package's layer has beside its files, and who else has to be asked about it. */
export interface Finished {
  readonly entries: readonly LayerEntry[];
  readonly links: PackageLinks;
  /** Commands of its scripts whose words can't be told from the text. */
  readonly unread: readonly string[];
}

/** Packages whose scripts divert for systems of before: what they want is in their files by now. dash brings /bin/sh itself. */
const settled: ReadonlySet<string> = new Set(['dash']);

/**
 * Files that a package's installation script would make and that its programs need. The scripts themselves are never
 * run: they belong to an installation, want root, and their result depends on the machine. Most packages need nothing.
 */
export async function finish(
  name: string,
  entries: readonly LayerEntry[],
  scripts: Pick<DebFile, 'preinst' | 'postinst'>,
): Promise<Finished> {
  const read = readScriptLinks(name, [scripts.preinst, scripts.postinst]);
  const alternatives = offered(entries, read.alternatives);
  const made = new Map(
    alternatives
      .flatMap((each) => [each, ...each.others])
      .map(({ link, target }): [string, LayerEntry] => [link, symlinkEntry(link, target)]),
  );
  for (const entry of await more(name, entries)) if (!made.has(entry.path)) made.set(entry.path, entry);
  return {
    entries: [...made.values()],
    links: { alternatives, diversions: read.diversions },
    unread: settled.has(name) ? [] : read.unread,
  };
}

async function more(name: string, entries: readonly LayerEntry[]): Promise<readonly LayerEntry[]> {
  if (name === 'ca-certificates') return certificateBundles(entries);
  return /^openjdk-\d+-(jre|jdk)-headless$/.test(name) ? javaPrograms(entries) : [];
}

/** Links to files of the package itself, where nothing else of it lies; of two to the same place the first. */
function offered(entries: readonly LayerEntry[], alternatives: readonly Alternative[]): Alternative[] {
  const there = new Set(entries.map(({ path }) => path));
  const taken = new Set<string>();
  const fits = ({ link, target }: { readonly link: string; readonly target: string }) => {
    if (there.has(link) || !there.has(mergedPath(target.slice(1))) || taken.has(link)) return false;
    taken.add(link);
    return true;
  };
  return alternatives.filter(fits).map((each) => ({ ...each, others: each.others.filter(fits) }));
}

/**
 * What update-ca-certificates and ca-certificates-java make: all authorities in one PEM file, and as Java's trust
 * store; and where OpenSSL looks for them (its folder belongs to the package openssl, which few images hold).
 */
async function certificateBundles(entries: readonly LayerEntry[]): Promise<LayerEntry[]> {
  const texts: string[] = [];
  for (const entry of entries) {
    if (!entry.path.startsWith('usr/share/ca-certificates/') || !entry.path.endsWith('.crt') || !entry.content)
      continue;
    texts.push((await bytesOf(entry.content, entry.size)).toString('latin1').trimEnd());
  }
  const pem = `${texts.join('\n')}\n`;
  return [
    fileEntry('etc/ssl/certs/ca-certificates.crt', pem),
    fileEntry('etc/ssl/certs/java/cacerts', javaTruststore(pem)),
    symlinkEntry('usr/lib/ssl/certs', '/etc/ssl/certs'),
    symlinkEntry('usr/lib/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt'),
  ];
}

/** What update-alternatives makes: the programs of the Java runtime in /usr/bin. */
function javaPrograms(entries: readonly LayerEntry[]): LayerEntry[] {
  const links: LayerEntry[] = [];
  for (const { path, type } of entries) {
    const [, home, program] = /^usr\/(lib\/jvm\/[^/]+)\/bin\/([^/]+)$/.exec(path) ?? [];
    if (type === 'file' && program !== undefined)
      links.push(symlinkEntry(`usr/bin/${program}`, `../${home}/bin/${program}`));
  }
  return links;
}

async function bytesOf(content: Content, size: number): Promise<Buffer> {
  if (content instanceof Uint8Array) return Buffer.from(content);
  const file = await open(content.path, 'r');
  try {
    const buffer = Buffer.alloc(size);
    await file.read(buffer, 0, size, content.offset);
    return buffer;
  } finally {
    await file.close();
  }
}
