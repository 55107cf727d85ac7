import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { javaTruststore } from './debian/truststore.ts';
import { ImageFault } from './fault.ts';
import { fileEntry, type LayerEntry, symlinkEntry } from './tar/write.ts';

/** Where Go, Python, OpenSSL and curl look for authorities on Debian; and where Java does. */
export const certificateBundle = 'etc/ssl/certs/ca-certificates.crt';
const javaBundle = 'etc/ssl/certs/java/cacerts';

const blocks = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/**
 * Authorities of one's own, beside those that the image has below: in the bundle that programs read, in Java's trust
 * store, and each as a file below /usr/local/share/ca-certificates, as update-ca-certificates(8) would have it.
 *
 * @param files paths of PEM files with one certificate or more each
 * @param below the bundle of the layers below; empty where there is none
 * @throws ImageFault image/bad-file where a file holds no certificate, or something else
 */
export async function certificateEntries(files: readonly string[], below: string): Promise<LayerEntry[]> {
  const own: string[] = [];
  const entries: LayerEntry[] = [];
  for (const path of files) {
    const certificates = certificatesOf(path, await readFile(path, 'latin1'));
    own.push(...certificates);
    const name = basename(path).replace(/\.(pem|crt|cer)$/, '');
    entries.push(fileEntry(`usr/local/share/ca-certificates/${name}.crt`, certificates.join('')));
  }
  const before = new Set((below.match(blocks) ?? []).map(fingerprint));
  const bundle = `${below}${own.filter((text) => !before.has(fingerprint(text))).join('')}`;
  return [
    ...entries,
    fileEntry(certificateBundle, bundle),
    fileEntry(javaBundle, javaTruststore(bundle)),
    ...(below === ''
      ? [
          symlinkEntry('usr/lib/ssl/certs', '/etc/ssl/certs'),
          symlinkEntry('usr/lib/ssl/cert.pem', `/${certificateBundle}`),
        ]
      : []),
  ];
}

function certificatesOf(path: string, text: string): string[] {
  const bad = (why: string, cause?: unknown) =>
    new ImageFault('image/bad-file', `${path} ${why}`, { next: 'give PEM files of certificates', cause });
  const found = [...text.matchAll(blocks)];
  const other = found.find(([, kind]) => kind !== 'CERTIFICATE');
  // A private key beside its certificate would be published with the image.
  if (other) throw bad(`holds a ${other[1]?.toLowerCase()}, which does not belong into an image`);
  if (found.length === 0) throw bad('holds no certificate');
  return found.map(([block]) => {
    try {
      return `${new X509Certificate(block).toString().trimEnd()}\n`;
    } catch (cause) {
      throw bad('holds a certificate that is damaged', cause);
    }
  });
}

function fingerprint(pem: string): string {
  try {
    return new X509Certificate(pem).fingerprint256;
  } catch {
    return pem;
  }
}
