import type { IncomingMessage } from 'node:http';
import { type Digest, digestOf, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { maximumManifest, mediaTypes } from '../manifest.ts';
import { answerChallenge, parseChallenge, smallBody, unauthorized } from './authorize.ts';
import { storedCredentials } from './credentials.ts';
import {
  backOff,
  type Call,
  connect,
  maximumTries,
  mayPass,
  type RegistryTransport,
  sendWithRetries,
} from './transport.ts';

/** One repository of one registry, seen from outside. distribution-spec 1.1. */
export interface RemoteRepository {
  /** Digest and type of what a tag or digest names; undefined where it is not there. */
  head(reference: string): Promise<{ readonly digest: Digest; readonly mediaType: string } | undefined>;
  /** @throws ImageFault image/registry-not-found, image/wrong-content */
  manifest(reference: string): Promise<{ readonly digest: Digest; readonly mediaType: string; readonly bytes: Buffer }>;
  putManifest(reference: string, mediaType: string, bytes: Uint8Array): Promise<void>;
  hasBlob(digest: Digest): Promise<boolean>;
  /** The bytes, not yet checked. @throws ImageFault image/registry-not-found */
  blob(digest: Digest): Promise<AsyncIterable<Uint8Array>>;
  /** Sends a blob, unless the registry finds it among what it has. @returns the bytes sent */
  putBlob(digest: Digest, size: number, body: () => AsyncIterable<Uint8Array>): Promise<number>;
  close(): void;
}

const manifestTypes = [mediaTypes.manifest, mediaTypes.index, mediaTypes.dockerManifest, mediaTypes.dockerList].join(
  ', ',
);

/** Redirects followed for a blob: registries keep them with storage services. */
const maximumRedirects = 3;

/** @param action what a token is asked for where the registry wants one */
export function openRemoteRepository(
  registry: string,
  repository: string,
  action: 'pull' | 'pull,push',
  transport: RegistryTransport = {},
  signal?: AbortSignal,
): RemoteRepository {
  const connection = connect(transport);
  const base = `${connection.scheme}://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`;
  const at = (path: string) => new URL(`/v2/${repository}/${path}`, base);
  const scope = `repository:${repository}:${action}`;
  let authorization: string | undefined;
  let pending: Promise<string> | undefined;

  /** Sends; where the registry asks who this is, answers once and sends again. */
  async function send(call: Call, tries?: number): Promise<IncomingMessage> {
    const used = authorization;
    const answer = await once(call, used, tries);
    if (answer.statusCode !== 401) return answer;
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
      second.resume();
      throw unauthorized(registry, `does not let this client ${action === 'pull' ? 'pull' : 'push'} ${repository}`);
    }
    return second;
  }

  function once(call: Call, using: string | undefined, tries: number | undefined): Promise<IncomingMessage> {
    const headers = {
      ...call.headers,
      ...(using !== undefined && call.url.origin === new URL(base).origin && { authorization: using }),
    };
    return sendWithRetries(connection, { ...call, headers, signal }, tries);
  }

  async function authorize(header: string): Promise<string> {
    const challenge = parseChallenge(header);
    if (challenge === undefined) throw unauthorized(registry, 'asks for an authentication that is not known here');
    const { credentials = await storedCredentials(registry) } = transport;
    return answerChallenge(
      connection,
      registry,
      challenge,
      scope,
      credentials === 'anonymous' ? undefined : credentials,
      signal,
    );
  }

  /** @throws the fault that an answer with an unexpected status means */
  async function refused(answer: IncomingMessage, what: string): Promise<never> {
    const { statusCode = 0 } = answer;
    const said = (await smallBody(answer).catch(() => Buffer.alloc(0))).toString('utf8');
    const notes = reasons(said);
    if (statusCode === 404)
      throw new ImageFault('image/registry-not-found', `${registry} does not have ${what}`, { notes });
    if (statusCode === 401 || statusCode === 403)
      throw unauthorized(registry, `does not let this client have or send ${what}`);
    throw new ImageFault('image/registry-refused', `${registry} answered ${statusCode} for ${what}`, { notes });
  }

  /** Where to send the blob; undefined where the registry has found it among what it has. */
  async function beginUpload(digest: Digest): Promise<URL | undefined> {
    const start = at('blobs/uploads/');
    // A registry that has the blob elsewhere may take it from there (automatic content discovery); others ignore this.
    start.searchParams.set('mount', digest);
    const opened = await send({ method: 'POST', url: start, headers: { 'content-length': 0 } });
    if (opened.statusCode !== 201 && opened.statusCode !== 202) return refused(opened, `the blob ${digest}`);
    opened.resume();
    if (opened.statusCode === 201) return undefined;
    const { location } = opened.headers;
    if (location === undefined || !URL.canParse(location, base)) {
      throw new ImageFault('image/bad-registry-answer', `${registry} began an upload and does not say where`);
    }
    const target = new URL(location, base);
    target.searchParams.set('digest', digest);
    return target;
  }

  return {
    async head(reference) {
      const what = `${repository}, ${reference}`;
      const answer = await send({
        method: 'HEAD',
        url: at(`manifests/${reference}`),
        headers: { accept: manifestTypes },
      });
      answer.resume();
      if (answer.statusCode === 404) return undefined;
      if (answer.statusCode !== 200) return refused(answer, what);
      const digest = answer.headers['docker-content-digest'];
      const mediaType = answer.headers['content-type'] ?? mediaTypes.manifest;
      if (typeof digest === 'string' && isDigest(digest)) return { digest, mediaType };
      // The header is optional in the specification; the bytes always tell.
      const whole = await this.manifest(reference);
      return { digest: whole.digest, mediaType: whole.mediaType };
    },

    async manifest(reference) {
      const answer = await send({
        method: 'GET',
        url: at(`manifests/${reference}`),
        headers: { accept: manifestTypes },
      });
      if (answer.statusCode !== 200) return refused(answer, `${repository}, ${reference}`);
      const bytes = await smallBody(answer, maximumManifest);
      const digest = digestOf(bytes);
      if (isDigest(reference) && digest !== reference) {
        throw new ImageFault(
          'image/wrong-content',
          `${registry} sent ${digest} in place of ${repository}@${reference}`,
        );
      }
      return {
        digest,
        mediaType: (answer.headers['content-type'] ?? '').split(';')[0]?.trim() || mediaTypes.manifest,
        bytes,
      };
    },

    async putManifest(reference, mediaType, bytes) {
      const headers = { 'content-type': mediaType, 'content-length': bytes.length };
      const answer = await send({ method: 'PUT', url: at(`manifests/${reference}`), headers, body: () => bytes });
      if (answer.statusCode !== 201) return refused(answer, `the manifest ${repository}, ${reference}`);
      answer.resume();
    },

    async hasBlob(digest) {
      const answer = await send({ method: 'HEAD', url: at(`blobs/${digest}`) });
      answer.resume();
      if (answer.statusCode === 404) return false;
      // A redirect says where the blob is.
      if (answer.statusCode === 200 || answer.statusCode === 307 || answer.statusCode === 302) return true;
      return refused(answer, `the blob ${digest}`);
    },

    async blob(digest) {
      let url = at(`blobs/${digest}`);
      for (let hop = 0; hop <= maximumRedirects; hop++) {
        const answer = await send({ method: 'GET', url });
        if (answer.statusCode === 200) return answer;
        const { location } = answer.headers;
        if (![301, 302, 303, 307, 308].includes(answer.statusCode ?? 0) || location === undefined)
          return refused(answer, `the blob ${digest}`);
        answer.resume();
        url = new URL(location, url);
      }
      throw new ImageFault('image/bad-registry-answer', `${registry} sends in circles for the blob ${digest}`);
    },

    async putBlob(digest, size, body) {
      // A broken upload begins anew as a whole: what a registry makes of half a blob is its own affair.
      for (let attempt = 1; ; attempt++) {
        const target = await beginUpload(digest);
        if (target === undefined) return 0;
        const headers = { 'content-type': 'application/octet-stream', 'content-length': size };
        const last = attempt === maximumTries;
        try {
          const done = await send({ method: 'PUT', url: target, headers, body }, 1);
          if (done.statusCode === 201) {
            done.resume();
            return size;
          }
          if (last || !mayPass(done.statusCode)) return refused(done, `the blob ${digest}`);
          done.resume();
        } catch (error) {
          if (last || !(error instanceof ImageFault) || error.code !== 'image/registry-unreachable') throw error;
        }
        await backOff(attempt, signal);
      }
    },

    close: () => connection.close(),
  };
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
