import { answerChallenge, parseChallenge, smallBody, unauthorized } from '../client/authorize.ts';
import { storedCredentials } from '../client/credentials.ts';
import { openRemoteRepository, type RemoteRepository } from '../client/registry.ts';
import { connect, type RegistryTransport, sendWithRetries } from '../client/transport.ts';
import { type Digest, hexOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type Descriptor, maximumManifest, mediaTypes, parseManifest } from '../manifest.ts';

/** A repository of a registry, with what refers to its images. */
export interface ProofRepository extends RemoteRepository {
  readonly registry: string;
  readonly repository: string;
  /** What refers to a manifest, in the registry's order. */
  referrers(subject: Digest): Promise<readonly Descriptor[]>;
  /**
   * Sends a manifest with a subject. Where the registry keeps no list of what refers to what, the list is kept in the tag that
   * the specification gives for that ("Referrers Tag Schema").
   */
  putReferrer(descriptor: Descriptor, bytes: Uint8Array, subject: Digest): Promise<void>;
}

/** Pages of a list, and entries of all of them, that are read; more is an attack or a mistake. */
const maximumPages = 20;
const maximumReferrers = 1000;

export function openProofRepository(
  registry: string,
  repository: string,
  action: 'pull' | 'pull,push',
  transport: RegistryTransport = {},
  signal?: AbortSignal,
): ProofRepository {
  const remote = openRemoteRepository(registry, repository, action, transport, signal);
  const connection = connect(transport);
  const base = `${connection.scheme}://${registry === 'docker.io' ? 'registry-1.docker.io' : registry}`;
  let authorization: string | undefined;

  async function get(url: URL, accept: string) {
    const send = () =>
      sendWithRetries(connection, {
        method: 'GET',
        url,
        headers: { accept, ...(authorization !== undefined && { authorization }) },
        signal,
      });
    let answer = await send();
    if (answer.statusCode === 401) {
      const challenge = parseChallenge(answer.headers['www-authenticate'] ?? '');
      answer.resume();
      if (challenge === undefined) throw unauthorized(registry, 'asks for an authentication that is not known here');
      const { credentials = await storedCredentials(registry) } = transport;
      const given = credentials === 'anonymous' ? undefined : credentials;
      const scope = `repository:${repository}:pull`;
      authorization = await answerChallenge(connection, registry, challenge, scope, given, signal);
      answer = await send();
    }
    if (answer.statusCode === 401 || answer.statusCode === 403) {
      answer.resume();
      throw unauthorized(registry, `does not let this client pull ${repository}`);
    }
    return answer;
  }

  /** Undefined where the registry does not know the question. */
  async function asked(subject: Digest): Promise<Descriptor[] | undefined> {
    const found: Descriptor[] = [];
    let url: URL | undefined = new URL(`/v2/${repository}/referrers/${subject}`, base);
    for (let page = 0; url !== undefined; page++) {
      const answer = await get(url, mediaTypes.index);
      const body = await smallBody(answer, maximumManifest);
      if (page === 0 && [400, 404, 405, 406].includes(answer.statusCode ?? 0)) return undefined;
      if (answer.statusCode !== 200) {
        throw new ImageFault(
          'image/registry-refused',
          `${registry} answered ${answer.statusCode} for what refers to ${repository}@${subject}`,
        );
      }
      found.push(...indexOf(body, `what ${registry} says of referrers`));
      if (page >= maximumPages || found.length > maximumReferrers) {
        throw new ImageFault('image/too-large', `more than ${maximumReferrers} manifests refer to ${subject}`);
      }
      url = nextPage(answer.headers.link, url);
    }
    return found;
  }

  /** The list in the tag; empty where there is none. */
  async function tagged(subject: Digest): Promise<readonly Descriptor[]> {
    if ((await remote.head(tagOf(subject))) === undefined) return [];
    const { bytes } = await remote.manifest(tagOf(subject));
    return indexOf(bytes, `the tag ${tagOf(subject)}`);
  }

  return {
    ...remote,
    registry,
    repository,
    referrers: async (subject) => (await asked(subject)) ?? (await tagged(subject)),
    async putReferrer(descriptor, bytes, subject) {
      await remote.putManifest(descriptor.digest, descriptor.mediaType, bytes);
      if ((await asked(subject)) !== undefined) return;
      const others = (await tagged(subject)).filter(({ digest }) => digest !== descriptor.digest);
      const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [...others, descriptor] };
      await remote.putManifest(tagOf(subject), mediaTypes.index, Buffer.from(JSON.stringify(index)));
    },
    close() {
      remote.close();
      connection.close();
    },
  };
}

/** distribution-spec 1.1, "Referrers Tag Schema". */
function tagOf(subject: Digest): string {
  return `sha256-${hexOf(subject)}`;
}

function indexOf(bytes: Uint8Array, what: string): readonly Descriptor[] {
  const parsed = parseManifest(bytes, mediaTypes.index, what);
  if ('index' in parsed) return parsed.index.manifests;
  throw new ImageFault('image/bad-registry-answer', `${what} is no index`);
}

/** RFC 8288; only within the same registry. */
function nextPage(link: string | string[] | undefined, current: URL): URL | undefined {
  const found = /<([^>]+)>\s*;\s*rel="?next"?/.exec(Array.isArray(link) ? link.join(',') : (link ?? ''))?.[1];
  if (found === undefined || !URL.canParse(found, current.href)) return undefined;
  const next = new URL(found, current);
  return next.origin === current.origin ? next : undefined;
}
