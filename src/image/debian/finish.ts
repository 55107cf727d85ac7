import { open } from 'node:fs/promises';
import { type Content, fileEntry, type LayerEntry, symlinkEntry } from '../tar/write.ts';
import { javaTruststore } from './truststore.ts';

/**
 * Files that a package's installation script would make and that its programs need. The scripts themselves are never
 * run: they belong to an installation, want root, and their result depends on the machine. Most packages need nothing.
 */
export async function finish(name: string, entries: readonly LayerEntry[]): Promise<LayerEntry[]> {
  if (name === 'ca-certificates') return certificateBundles(entries);
  if (/^openjdk-\d+-(jre|jdk)-headless$/.test(name)) return javaPrograms(entries);
  return [];
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
