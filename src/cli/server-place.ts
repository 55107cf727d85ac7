import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { Readable } from 'node:stream';
import { LocalFault, serverAccess } from '../local/index.ts';

/** Where a server is, and who asks. */
export interface ServerPlace {
  readonly base: string;
  readonly token: string | undefined;
  /** PEM of the one authority that its certificate goes by; the system's where it is absent. */
  readonly ca?: string | undefined;
}

/** What `banksman server sign-in` keeps for a cluster of this machine. */
export interface SignIn {
  readonly url: string;
  readonly token: string;
  /** ISO 8601. */
  readonly expiresAt: string;
}

const usual = 'http://127.0.0.1:7700';

/**
 * The server that is meant: by name, by $BANKSMAN_SERVER, as a pod of this machine's cluster where somebody signed in there, or the one
 * that `banksman server` starts. The token of a sign-in goes to that server alone.
 */
export async function serverPlace(
  named: string | undefined,
  cluster: string | undefined = process.env.BANKSMAN_CLUSTER || undefined,
): Promise<ServerPlace> {
  const token = process.env.BANKSMAN_TOKEN || undefined;
  const told = named ?? (process.env.BANKSMAN_SERVER || undefined);
  if (told !== undefined) return { base: told, token };
  const signIn = await readSignIn(cluster);
  if (signIn === undefined) return { base: usual, token };
  const ca = await readFile(serverAccess(cluster).tls.caPath, 'utf8');
  return { base: signIn.url, token: token ?? signIn.token, ca };
}

/** @returns undefined where nobody signed in, or may not read who did */
export async function readSignIn(cluster: string | undefined): Promise<SignIn | undefined> {
  const { signInPath } = serverAccess(cluster);
  const text = await readFile(signInPath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'EACCES' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    const { url, token, expiresAt } = JSON.parse(text) as Partial<SignIn>;
    if (typeof url === 'string' && typeof token === 'string' && typeof expiresAt === 'string')
      return { url, token, expiresAt };
  } catch {
    // Told below.
  }
  throw new LocalFault('local/bad-state', `${signInPath} is no sign-in`, {
    next: 'make it anew with: banksman server sign-in',
  });
}

/** `fetch` for one server; with an authority of its own, which `fetch` itself can't be told. */
export function fetchFrom({ ca }: Pick<ServerPlace, 'ca'>): (url: URL, init: RequestInit) => Promise<Response> {
  if (ca === undefined) return (url, init) => fetch(url, init);
  return (url, { method = 'GET', headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const asked = request(
        url,
        { method, ca, headers: Object.fromEntries(new Headers(headers)), signal: signal ?? undefined },
        (answer) => {
          const status = answer.statusCode ?? 500;
          if (status >= 300 && status < 400) {
            answer.destroy();
            reject(new Error('it leads elsewhere, which no server of Banksman does'));
            return;
          }
          const given = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)]);
          const bodiless = status === 204;
          if (bodiless) answer.resume();
          resolve(
            new Response(bodiless ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>), {
              status,
              headers: given,
            }),
          );
        },
      );
      asked.on('error', reject);
      if (typeof body === 'string') asked.end(body);
      else asked.end();
    });
}
