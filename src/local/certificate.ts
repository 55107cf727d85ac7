import 'reflect-metadata';
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate with its private key, both as PEM text. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends KeyPair {
  readonly name: string;
}

export interface LeafRequest {
  /** Kubernetes' user name, for a client. */
  readonly commonName: string;
  /** Kubernetes' groups. */
  readonly organizations?: readonly string[];
  readonly use: readonly ('client' | 'server')[];
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  /** Days. */
  readonly lifetime: number;
}

const day = 24 * 3600 * 1000;
/** Clocks of containers and hosts may differ a little: certificates begin in the past by this many milliseconds. */
const backdated = 5 * 60 * 1000;
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const signing = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** A key on the curve P-256, as PKCS #8 PEM. */
export function makePrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** A certificate authority that signs end entities only (path length 0). @param lifetime days */
export async function makeAuthority(name: string, lifetime: number): Promise<Authority> {
  const key = makePrivateKey();
  const keys = await importPair(key);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: [{ CN: [name] }],
      notBefore: new Date(now - backdated),
      notAfter: new Date(now + lifetime * day),
      signingAlgorithm: signing,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as never),
      ],
    },
    webcrypto as never,
  );
  return { name, certificate: pem(certificate), key };
}

/** An end entity's certificate with a new key, signed by the authority. RFC 5280. */
export async function issue(authority: Authority, request: LeafRequest): Promise<KeyPair> {
  const key = makePrivateKey();
  const { publicKey } = await importPair(key);
  const issuerKeys = await importPair(authority.key);
  const issuer = new x509.X509Certificate(authority.certificate);
  const now = Date.now();
  const usages = request.use.map((use) =>
    use === 'client' ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth,
  );
  const names = [
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(request.addresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      subject: subject(request),
      issuer: issuer.subjectName,
      notBefore: new Date(now - backdated),
      // Never beyond the authority's own end.
      notAfter: new Date(Math.min(now + request.lifetime * day, issuer.notAfter.getTime())),
      signingAlgorithm: signing,
      publicKey,
      signingKey: issuerKeys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages, false),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto as never),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names, false)] : []),
      ],
    },
    webcrypto as never,
  );
  return { certificate: pem(certificate), key };
}

function subject(request: LeafRequest): x509.JsonName {
  return [...(request.organizations ?? []).map((name) => ({ O: [name] })), { CN: [request.commonName] }];
}

/** Positive and at most 20 bytes, of 127 random bits: RFC 5280, 4.1.2.2. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0]! &= 0x7f;
  bytes[0]! |= 0x40;
  return bytes.toString('hex');
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trimEnd()}\n`;
}

async function importPair(key: string): Promise<webcrypto.CryptoKeyPair> {
  const object: KeyObject = createPrivateKey(key);
  const der = object.export({ type: 'pkcs8', format: 'der' });
  const jwk = object.export({ format: 'jwk' });
  const { d: _, ...open } = jwk;
  const privateKey = await webcrypto.subtle.importKey('pkcs8', new Uint8Array(der), ecdsa, true, ['sign']);
  const publicKey = await webcrypto.subtle.importKey('jwk', open, ecdsa, true, ['verify']);
  return { privateKey, publicKey };
}
