import type { IncomingMessage } from 'node:http';
import { hide } from '../../fault/index.ts';
import { digestLike, digestOf, isAnyDigest, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { maximumManifest, mediaTypes } from '../manifest.ts';
import { answerChallenge, parseChallenge, smallBody, unauthorized } from './authorize.ts';
import { storedCredentials } from './credentials.ts';
import { download } from './download.ts';
import { listReferrers, recordReferrer } from './referrers.ts';
import type { RemoteRepository } from './remote.ts';
import {
  backOff,
  type Call,
  connect,
  isTransient,
  maximumTries,
  type RegistryTransport,
  sendWithRetries,
  unreachable,
} from './transport.ts';
import { upload } from './upload.ts';

export interface RemoteOptions {
  readonly registry: string;
  readonly repository: string;
  /** What a token is asked for where the registry wants one. */
  readonly action: 'pull' | 'pull,push' | 'pull,push,delete';
  /** Another repository of this registry that blobs may be taken from. */
  readonly mountFrom?: string | undefined;
  readonly transport?: RegistryTransport | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const manifestTypes = [
  mediaTypes.manifest,
  mediaTypes.index,
  mediaTypes.dockerManifest,
  mediaTypes.dockerList,
].join(', ');

/** Redirects followed: registries keep blobs with storage services. */
const maximumRedirects = 3;
/** Pages of tags or referrers: more is a registry that sends in circles. */
const maximumPages = 10_000;

export function openRemoteRepository(options: RemoteOptions): RemoteRepository {
  const { registry, repository, action, mountFrom, transport = {}, signal } = options;
  const connection = connect(registry === 'docker.io' ? 'registry-1.docker.io' : registry, transport);
  const at = async (path: string) => new URL(`/v2/${repository}/${path}`, await connection.base(signal));
  const scopes = [
    `repository:${repository}:${action}`,
    ...(mountFrom === undefined || mountFrom === repository ? [] : [`repository:${mountFrom}:pull`]),
  ];
  let authorization: string | undefined;
  let pending: Promise<string> | undefined;

  /** Sends; where the registry asks who this is, answers once and sends again. Follows to where content lies. */
  async function send(call: Call, tries?: number): Promise<IncomingMessage> {
    const reads = call.method === 'GET' || call.method === 'HEAD';
    let { url } = call;
    for (let hop = 0; hop <= maximumRedirects; hop++) {
      const answer = await authorized({ ...call, url }, tries);
      const { location } = answer.headers;
      if (!reads || location === undefined || ![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0))
        return answer;
      answer.resume();
      if (!URL.canParse(location, url.href))
        throw new ImageFault('image/bad-registry-answer', `${registry} leads to an address that is none`);
      url = new URL(location, url);
    }
    throw new ImageFault('image/bad-registry-answer', `${registry} sends in circles`);
  }

  async function authorized(call: Call, tries: number | undefined): Promise<IncomingMessage> {
    const used = authorization;
    const answer = await once(call, used, tries);
    // Who answers elsewhere is not the registry: nothing of ours is for it.
    if (answer.statusCode !== 401 || call.url.origin !== (await connection.base(signal))) return answer;
    const header = answer.headers['www-authenticate'] ?? '';
    answer.resume();
    // Of many requests at a time one fetches the token.
    if (authorization === used) {
      pending ??= authorize(header).finally(() => {
        pending = undefined;
      });
      authorization = await pending;
    }
    const second = await once(call, authorization, tries);
    if (second.statusCode === 401 || second.statusCode === 403) {
      const notes = reasons((await smallBody(second).catch(() => Buffer.alloc(0))).toString('utf8'));
      const what = `does not let this client ${action === 'pull' ? 'pull' : 'push'} ${repository}`;
      throw unauthorized(registry, what, notes, second.statusCode);
    }
    return second;
  }

  async function once(call: Call, using: string | undefined, tries: number | undefined): Promise<IncomingMessage> {
    const own = call.url.origin === (await connection.base(signal));
    hide(using?.replace(/^(?:Bearer|Basic) +/i, ''));
    const headers = { ...call.headers, ...(using !== undefined && own && { authorization: using }) };
    return sendWithRetries(connection, { ...call, headers, signal }, tries);
  }

  async function authorize(header: string): Promise<string> {
    const challenge = parseChallenge(header);
    if (challenge === undefined) throw unauthorized(registry, 'asks for an authentication that is not known here');
    const { credentials = await storedCredentials(registry, repository) } = transport;
    return answerChallenge(
      connection,
      registry,
      challenge,
      scopes,
      credentials === 'anonymous' ? undefined : credentials,
      signal,
    );
  }

  /** @throws the fault that an answer with an unexpected status means */
  async function refused(answer: IncomingMessage, what: string): Promise<never> {
    return refusedWith(answer, await smallBody(answer).catch(() => Buffer.alloc(0)), what);
  }

  function refusedWith({ statusCode = 0 }: IncomingMessage, body: Buffer, what: string): never {
    const notes = reasons(body.toString('utf8'));
    if (statusCode === 404)
      throw new ImageFault('image/registry-not-found', `${registry} does not have ${what}`, { notes });
    if (statusCode === 401 || statusCode === 403)
      throw unauthorized(registry, `does not let this client have or send ${what}`, notes, statusCode);
    throw new ImageFault('image/registry-refused', `${registry} answered ${statusCode} for ${what}`, { notes });
  }

  /** A small answer with its whole body; asked for once more where the line broke in the middle of it. */
  async function get(path: string | URL, accept: string): Promise<{ answer: IncomingMessage; body: Buffer }> {
    const url = path instanceof URL ? path : await at(path);
    for (let attempt = 1; ; attempt++) {
      const answer = await send({ method: 'GET', url, headers: { accept } });
      try {
        return { answer, body: await smallBody(answer, maximumManifest) };
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (!isTransient(error)) throw error;
        if (attempt >= maximumTries) throw unreachable(registry, error);
      }
      await backOff(connection, attempt, signal);
    }
  }

  /** Answers of a list, page by page. RFC 8288. */
  async function* pages(
    first: URL,
    accept: string,
    what: string,
    none: readonly number[] = [],
  ): AsyncGenerator<Buffer> {
    let url: URL | undefined = first;
    for (let page = 0; url !== undefined; page++) {
      if (page >= maximumPages)
        throw new ImageFault('image/bad-registry-answer', `${registry} sends ${what} in circles`);
      const { answer, body } = await get(url, accept);
      if (none.includes(answer.statusCode ?? 0)) return;
      if (answer.statusCode !== 200) return refusedWith(answer, body, what);
      const link = /<([^>]*)>\s*;\s*rel="?next"?/.exec(String(answer.headers.link ?? ''))?.[1];
      yield body;
      const following: URL | undefined =
        link !== undefined && URL.canParse(link, url.href) ? new URL(link, url) : undefined;
      // A page of another host would be asked without our name, or with it where it does not belong.
      url = following?.origin === url.origin && following.href !== url.href ? following : undefined;
    }
  }

  const remote: RemoteRepository = {
    registry,
    repository,

    async head(reference) {
      const what = `${repository}, ${reference}`;
      const answer = await send({
        method: 'HEAD',
        url: await at(`manifests/${reference}`),
        headers: { accept: manifestTypes },
      });
      answer.resume();
      if (answer.statusCode === 404) return undefined;
      if (answer.statusCode !== 200) return refused(answer, what);
      const digest = answer.headers['docker-content-digest'];
      const mediaType = typeOf(answer);
      if (typeof digest === 'string' && isDigest(digest) && (!isAnyDigest(reference) || reference === digest))
        return { digest, mediaType };
      // The header is optional in the specification; the bytes always tell.
      const whole = await remote.manifest(reference);
      return { digest: whole.digest, mediaType: whole.mediaType };
    },

    async manifest(reference) {
      const { answer, body: bytes } = await get(`manifests/${reference}`, manifestTypes);
      if (answer.statusCode !== 200) return refusedWith(answer, bytes, `${repository}, ${reference}`);
      const mediaType = typeOf(answer);
      if (isAnyDigest(reference) && digestLike(reference, bytes) !== reference) {
        throw new ImageFault(
          'image/wrong-content',
          `${registry} sent ${digestLike(reference, bytes)} in place of ${repository}@${reference}`,
        );
      }
      return { digest: digestOf(bytes), mediaType, bytes };
    },

    async putManifest(reference, mediaType, bytes, { onlyNew = false } = {}) {
      const headers = {
        'content-type': mediaType,
        'content-length': bytes.length,
        ...(onlyNew && { 'if-none-match': '*' }),
      };
      const answer = await send({
        method: 'PUT',
        url: await at(`manifests/${reference}`),
        headers,
        body: () => bytes,
      });
      if (onlyNew && answer.statusCode === 412) {
        answer.resume();
        return false;
      }
      if (answer.statusCode !== 201) return refused(answer, `the manifest ${repository}, ${reference}`);
      answer.resume();
      if (answer.headers['oci-subject'] === undefined) await recordReferrer(remote, mediaType, bytes);
      return true;
    },

    async deleteManifest(reference) {
      const answer = await send({ method: 'DELETE', url: await at(`manifests/${reference}`) });
      if (answer.statusCode !== 202 && answer.statusCode !== 404)
        return refused(answer, `the deletion of ${repository}, ${reference}`);
      answer.resume();
      return answer.statusCode === 202;
    },

    async hasBlob(digest) {
      const answer = await send({ method: 'HEAD', url: await at(`blobs/${digest}`) });
      answer.resume();
      if (answer.statusCode === 404) return false;
      if (answer.statusCode === 200) return true;
      return refused(answer, `the blob ${digest}`);
    },

    blob(digest, size) {
      const open = async (from: number) => {
        const answer = await send({
          method: 'GET',
          url: await at(`blobs/${digest}`),
          ...(from > 0 && { headers: { range: `bytes=${from}-` } }),
        });
        if (answer.statusCode === 200 || (from > 0 && answer.statusCode === 206)) return answer;
        return refused(answer, `the blob ${digest}`);
      };
      return download(open, connection, registry, digest, size, signal);
    },

    async putBlob(digest, size, source) {
      return upload({
        connection,
        send: (call) => send(call, 1),
        base: new URL(await connection.base(signal)),
        start: await at('blobs/uploads/'),
        digest,
        size,
        source,
        from: mountFrom,
        refused,
        signal,
      });
    },

    async *tags() {
      const first = await at('tags/list?n=1000');
      for await (const body of pages(first, 'application/json', `the tags of ${repository}`))
        yield* tagsIn(body, registry);
    },

    referrers: (digest, artifactType) => listReferrers(remote, pages, at, digest, artifactType),

    close: () => connection.close(),
  };
  return remote;
}

function typeOf(answer: IncomingMessage): string {
  return (answer.headers['content-type'] ?? '').split(';')[0]?.trim() || mediaTypes.manifest;
}

function tagsIn(body: Buffer, registry: string): string[] {
  try {
    const { tags } = JSON.parse(body.toString('utf8'));
    if (tags === null) return [];
    if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')) return tags;
  } catch {
    // Told below.
  }
  throw new ImageFault('image/bad-registry-answer', `${registry} sent a list of tags that is none`);
}

/** What the registry said, for a person. distribution-spec, "Error Codes". */
function reasons(body: string): string[] {
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: unknown; message?: unknown }[] };
    if (Array.isArray(errors))
      return errors.slice(0, 10).map(({ code, message }) => `${code}: ${message}`.slice(0, 500));
  } catch {
    // Not in the form of the specification: shown as it is.
  }
  return body.trim() === '' ? [] : [body.trim().slice(0, 500)];
}
