import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Server } from 'node:tls';
import { ServerFault } from './fault.ts';

/** Files in PEM. */
export interface TlsFiles {
  /** The certificate, and those between it and an authority. */
  readonly cert: string;
  readonly key: string;
}

export interface TlsTexts {
  readonly cert: string;
  readonly key: string;
}

/** Milliseconds between looks: certificates are replaced days before their end. */
const lookEvery = 60_000;

/**
 * Reads a certificate with its key.
 *
 * @throws ServerFault server/bad-certificate where a file can't be read, is no PEM, or the two do not belong together
 */
export async function readTls({ cert, key }: TlsFiles): Promise<TlsTexts> {
  const [certText, keyText] = await Promise.all([cert, key].map(readOne));
  let fits: boolean;
  try {
    fits = new X509Certificate(certText!).checkPrivateKey(createPrivateKey(keyText!));
  } catch (cause) {
    // Of a key nothing is told but where it lies.
    throw bad(`${cert} and ${key} are no certificate and key in PEM`, cause);
  }
  if (!fits) throw bad(`the key in ${key} is not that of the certificate in ${cert}`);
  return { cert: certText!, key: keyText! };
}

/** Takes a new certificate when the files change, without ending a connection. One that is bad is told, and the old one stays. */
export function followTls(
  server: Pick<Server, 'setSecureContext'>,
  files: TlsFiles,
  now: TlsTexts,
  onError: (error: unknown) => void,
  every = lookEvery,
): { stop(): void } {
  let known = now;
  let looking = false;
  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      const found = await readTls(files);
      if (found.cert !== known.cert || found.key !== known.key) server.setSecureContext(found);
      known = found;
    } catch (error) {
      onError(error);
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), every);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

async function readOne(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((cause: Error) => {
    throw bad(`${path} can't be read: ${cause.message}`, cause);
  });
}

function bad(message: string, cause?: unknown): ServerFault {
  return new ServerFault('server/bad-certificate', message, {
    next: 'give a certificate and its key in PEM: --tls-cert FILE --tls-key FILE',
    ...(cause !== undefined && { cause }),
  });
}
