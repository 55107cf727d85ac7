import { createHash, X509Certificate } from 'node:crypto';

/** The password of Java's own trust store. It protects nothing, certificates are public; Java checks the sum with it. */
const password = 'changeit';

/**
 * A Java trust store (format JKS, version 2) of the certificates in a PEM text, the same bytes for the same text.
 * Java 9 and newer read JKS wherever a store is asked for.
 */
export function javaTruststore(pem: string): Buffer {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const parts: Buffer[] = [int32(0xfeedfeed), int32(2), int32(certificates.length)];
  for (const text of certificates) {
    const { raw } = new X509Certificate(text);
    const alias = createHash('sha256').update(raw).digest('hex');
    // 2: a trusted certificate. The eight zeros are when it was added.
    parts.push(int32(2), utf(alias), Buffer.alloc(8), utf('X.509'), int32(raw.length), raw);
  }
  const body = Buffer.concat(parts);
  const sum = createHash('sha1')
    .update(Buffer.from(password, 'utf16le').swap16())
    .update('Mighty Aphrodite')
    .update(body)
    .digest();
  return Buffer.concat([body, sum]);
}

function int32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}

/** As java.io.DataOutput writes ASCII. */
function utf(text: string): Buffer {
  const bytes = Buffer.from(text, 'ascii');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
