import type { IncomingMessage } from 'node:http';
import { hide } from '../../fault/index.ts';
import { ImageFault } from '../fault.ts';
import type { Credentials } from './helper.ts';
import {
  backOff,
  type Call,
  type Connection,
  isTransient,
  maximumTries,
  sendWithRetries,
  unreachable,
} from './transport.ts';

/** A challenge of WWW-Authenticate. RFC 9110, 11.6.1. */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The first challenge of a header that this client can answer. */
export function parseChallenge(header: string): Challenge | undefined {
  const found = /(?:^|,\s*)(bearer|basic)\b\s*((?:[a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^\s,"]+)(?:\s*,\s*)?)*)/i.exec(header);
  if (found === null) return undefined;
  const parameters: Record<string, string> = {};
  for (const [, key = '', quoted, plain] of (found[2] ?? '').matchAll(
    /([a-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi,
  )) {
    parameters[key.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '';
  }
  return { scheme: (found[1] ?? '').toLowerCase(), parameters };
}

/**
 * The value of an Authorization header that answers the challenge: basic, or a token of the service that the registry
 * names (the token flow of the Docker registry, "Token Authentication Specification").
 *
 * @param scopes what the token is for: `repository:bank/ledger:pull,push`; what the challenge names beyond that is asked too
 * @throws ImageFault image/registry-unauthorized
 */
export async function answerChallenge(
  connection: Connection,
  registry: string,
  challenge: Challenge,
  scopes: readonly string[],
  credentials: Credentials | undefined,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (challenge.scheme === 'basic') {
    if (credentials === undefined || 'identityToken' in credentials)
      throw unauthorized(registry, 'asks for a name and a password');
    return basic(credentials);
  }
  const { realm, service } = challenge.parameters;
  if (realm === undefined || !URL.canParse(realm))
    throw unauthorized(registry, 'asks for a token and does not say from where');
  const url = new URL(realm);
  const asked = allScopes(challenge.parameters.scope, scopes);
  let call: Call;
  if (credentials !== undefined && 'identityToken' in credentials) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'banksman',
      scope: asked.join(' '),
    });
    if (service !== undefined) form.set('service', service);
    const body = Buffer.from(form.toString());
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length };
    call = { method: 'POST', url, headers, body: () => body, signal };
  } else {
    if (service !== undefined) url.searchParams.set('service', service);
    for (const scope of asked) url.searchParams.append('scope', scope);
    call = {
      method: 'GET',
      url,
      headers: credentials === undefined ? {} : { authorization: basic(credentials) },
      signal,
    };
  }
  const { answer, body } = await sendForBody(connection, call);
  if (answer.statusCode !== 200) throw unauthorized(registry, `'s token service answered ${answer.statusCode}`);
  return `Bearer ${tokenOf(body, registry)}`;
}

/** Once more where the line breaks in the middle of the answer. */
async function sendForBody(connection: Connection, call: Call): Promise<{ answer: IncomingMessage; body: Buffer }> {
  for (let attempt = 1; ; attempt++) {
    const answer = await sendWithRetries(connection, call);
    try {
      return { answer, body: await smallBody(answer) };
    } catch (error) {
      if (!isTransient(error)) throw error;
      if (attempt >= maximumTries) throw unreachable(call.url.host, error);
    }
    await backOff(connection, attempt, call.signal);
  }
}

/** The challenge speaks of one request; the token is for all that will come. */
function allScopes(challenge: string | undefined, own: readonly string[]): string[] {
  const beyond = (challenge?.split(' ') ?? []).filter((scope) => {
    const [, resource = scope, actions = ''] = /^(.*):([^:]*)$/.exec(scope) ?? [];
    return !own.some(
      (each) =>
        each.startsWith(`${resource}:`) &&
        actions.split(',').every((action) =>
          each
            .slice(resource.length + 1)
            .split(',')
            .includes(action),
        ),
    );
  });
  return [...own, ...beyond.filter((scope) => scope !== '')];
}

function tokenOf(body: Buffer, registry: string): string {
  try {
    const { token, access_token: accessToken } = JSON.parse(body.toString('utf8'));
    const found: unknown = token ?? accessToken;
    // What is not a token must not get into a header.
    if (typeof found === 'string' && /^[\x21-\x7e]+$/.test(found)) return found;
  } catch {
    // Told below.
  }
  throw unauthorized(registry, "'s token service gave no token");
}

function basic({ username, password }: { username: string; password: string }): string {
  hide(password);
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** @param status of the answer: 403 where the registry knows who asks */
export function unauthorized(registry: string, why: string, notes: readonly string[] = [], status = 401): ImageFault {
  const login = `docker login ${registry}`;
  const next =
    status === 403
      ? `ask whoever keeps the registry for the right to do so, or sign in as somebody who has it: ${login}`
      : `run: ${login}`;
  return new ImageFault(
    'image/registry-unauthorized',
    `the registry ${registry}${why.startsWith("'") ? '' : ' '}${why}`,
    { notes, next },
  );
}

/** Bytes of an answer that is no content: errors and tokens. */
const maximumSmallBody = 1024 * 1024;

export async function smallBody(answer: IncomingMessage, maximum = maximumSmallBody): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > maximum) {
      answer.destroy();
      throw new ImageFault('image/bad-registry-answer', `a registry's answer has more than ${maximum} bytes`);
    }
    parts.push(piece);
  }
  return Buffer.concat(parts);
}
