import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { type Digest, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import type { BlobStore } from '../store.ts';
import { DockerfileFault } from './fault.ts';
import { type LogicalLine, placeOf, type Word } from './source.ts';
import type { FileNode } from './tree.ts';

/** ADD can have a source elsewhere. */
export function isRemote(text: string): boolean {
  return /^(?:https?|ftp|git|ssh):\/\//i.test(text) || /^git@[^/]*:/.test(text);
}

/** Bytes of a file from elsewhere. */
const maximumSize = 4 * 1024 ** 3;
/** Milliseconds until the first byte of an answer. */
const patience = 60_000;

/**
 * A file from elsewhere whose sum the Dockerfile names: what it is can't change then. The store keeps it.
 *
 * @throws DockerfileFault dockerfile/remote-source
 */
export async function fetchSource(
  store: BlobStore,
  source: { readonly word: Word; readonly text: string },
  checksum: { readonly word: Word; readonly text: string } | undefined,
  line: LogicalLine,
  signal: AbortSignal | undefined,
): Promise<{ readonly node: FileNode; readonly name: string }> {
  const place = placeOf(line, source.word);
  const bad = (message: string, next: string, cause?: unknown) =>
    new DockerfileFault('dockerfile/remote-source', message, { place, next, cause });
  if (!/^https?:\/\//i.test(source.text) || /\.git(?:#|$)/.test(source.text) || !URL.canParse(source.text)) {
    throw bad(
      `${source.text} can't be added: only files over http and https can`,
      'fetch it with a rule, name that in srcs, and COPY it',
    );
  }
  if (checksum === undefined) {
    throw bad(
      `${source.text} may be another file tomorrow: ADD names no sum of it`,
      'write ADD --checksum=sha256:..., or fetch it with remote_file, name that in srcs, and COPY it',
    );
  }
  if (!isDigest(checksum.text)) {
    throw new DockerfileFault('dockerfile/bad-value', `${JSON.stringify(checksum.text)} is not a sum`, {
      place: placeOf(line, checksum.word),
      next: 'write it as sha256: and 64 lower-case hex digits',
    });
  }
  const url = new URL(source.text);
  const name = posix.basename(url.pathname);
  if (name === '' || name === '/') throw bad(`${source.text} names no file`, 'write the whole address of a file');
  const digest = checksum.text;
  const size = (await store.size(digest)) ?? (await fetchInto(store, url, digest, bad, signal));
  const content = { bytes: { path: store.path(digest), offset: 0 }, identity: digest };
  // As Docker has it: a file from elsewhere is for its owner alone.
  return { name: decodeURIComponent(name), node: { type: 'file', mode: 0o600, uid: 0, gid: 0, size, content } };
}

async function fetchInto(
  store: BlobStore,
  url: URL,
  digest: Digest,
  bad: (message: string, next: string, cause?: unknown) => DockerfileFault,
  signal: AbortSignal | undefined,
): Promise<number> {
  try {
    const timer = new AbortController();
    const late = setTimeout(() => timer.abort(new Error(`no answer within ${patience / 1000} s`)), patience);
    const answer = await fetch(url, { signal: AbortSignal.any([timer.signal, ...(signal ? [signal] : [])]) }).finally(
      () => clearTimeout(late),
    );
    if (!answer.ok || answer.body === null) throw new Error(`the server answered ${answer.status}`);
    const stored = await store.put(bounded(Readable.fromWeb(answer.body as ReadableStream)), { digest });
    return stored.size;
  } catch (cause) {
    signal?.throwIfAborted();
    const why = reasonOf(cause);
    const next =
      cause instanceof ImageFault && cause.code === 'image/wrong-content'
        ? 'look whether the file is the right one, and correct the sum'
        : 'look whether the address is right and can be reached';
    throw bad(`${url.href} can't be had: ${why}`, next, cause);
  }
}

/** What `fetch` says is that it failed; why stands behind it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.message === 'fetch failed' ? error.cause.message : error.message;
}

async function* bounded(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let total = 0;
  for await (const piece of source) {
    total += piece.length;
    if (total > maximumSize) throw new Error(`it has more than ${maximumSize} bytes`);
    yield piece;
  }
}
