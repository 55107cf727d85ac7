import { open } from 'node:fs/promises';
import { mergedPath } from '../merged.ts';
import { type Content, fileEntry, type LayerEntry, symlinkEntry } from '../tar/write.ts';
import { javaTruststore } from './truststore.ts';

/**
 * Files that a package's installation script would make and that its programs need. The scripts themselves are never
 * run: they belong to an installation, want root, and their result depends on the machine. Most packages need nothing.
 */
export async function finish(name: string, entries: readonly LayerEntry[], postinst: string): Promise<LayerEntry[]> {
  if (name === 'ca-certificates') return certificateBundles(entries);
  if (/^openjdk-\d+-(jre|jdk)-headless$/.test(name)) return javaPrograms(entries);
  return alternatives(entries, postinst);
}

/**
 * Links that update-alternatives(1) would make: those that a package's script names in so many words, to a file of the
 * package itself, where nothing else of it lies. Of two packages in one image that offer the same link, the one whose layer lies
 * higher has it.
 */
function alternatives(entries: readonly LayerEntry[], postinst: string): LayerEntry[] {
  const there = new Set(entries.map(({ path }) => path));
  const links = new Map<string, LayerEntry>();
  const commands = postinst
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => /^\s*update-alternatives\s/.test(line));
  for (const command of commands) {
    for (const [, link = '', target = ''] of command.matchAll(/--(?:install|slave)\s+(\/\S+)\s+\S+\s+(\/\S+)/g)) {
      // What a shell would make of it is not asked.
      if (/[$`*?"'(){}[\]]|\.\./.test(link + target)) continue;
      const path = mergedPath(link.slice(1));
      if (there.has(path) || !there.has(mergedPath(target.slice(1))) || links.has(path)) continue;
      links.set(path, symlinkEntry(path, target));
    }
  }
  return [...links.values()];
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
