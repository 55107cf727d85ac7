import { type AnyDigest, isAnyDigest } from '../digest.ts';
import { isRepository, isTag } from '../names.ts';
import { Refusal } from './answer.ts';

/** What a request's path asks for. distribution-spec 1.1, "Endpoints". */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'token' }
  | { readonly kind: 'blob'; readonly repository: string; readonly digest: AnyDigest }
  | { readonly kind: 'manifest'; readonly repository: string; readonly reference: string }
  | { readonly kind: 'uploads'; readonly repository: string }
  | { readonly kind: 'upload'; readonly repository: string; readonly id: string }
  | { readonly kind: 'tags'; readonly repository: string }
  | { readonly kind: 'referrers'; readonly repository: string; readonly digest: AnyDigest };

/**
 * Names are held against the grammar here and nowhere later: what passes can't lead out of the registry's folder.
 *
 * @throws Refusal
 */
export function routeOf(pathname: string): Route {
  if (pathname === '/v2' || pathname === '/v2/') return { kind: 'base' };
  if (pathname === '/v2/_catalog') return { kind: 'catalog' };
  if (pathname === '/token') return { kind: 'token' };
  const parts = decoded(pathname).split('/');
  if (parts[0] !== '' || parts[1] !== 'v2')
    throw new Refusal(404, 'UNSUPPORTED', 'this is a registry: its API begins with /v2/');
  const at = (from: number) => parts.slice(2, parts.length - from).join('/');
  const [third, second, last] = parts.slice(-3) as [string, string, string];
  if (third === 'blobs' && second === 'uploads') {
    return last === ''
      ? { kind: 'uploads', repository: name(at(3)) }
      : { kind: 'upload', repository: name(at(3)), id: last };
  }
  if (second === 'blobs' && last === 'uploads') return { kind: 'uploads', repository: name(at(2)) };
  if (second === 'tags' && last === 'list') return { kind: 'tags', repository: name(at(2)) };
  if (second === 'blobs' || second === 'referrers') {
    const repository = name(at(2));
    if (!isAnyDigest(last))
      throw new Refusal(400, 'DIGEST_INVALID', 'a digest is sha256: and 64 lower-case hex digits');
    return { kind: second === 'blobs' ? 'blob' : 'referrers', repository, digest: last };
  }
  if (second === 'manifests') {
    const repository = name(at(2));
    if (last.includes(':') ? !isAnyDigest(last) : !isTag(last)) {
      const code = last.includes(':') ? 'DIGEST_INVALID' : 'TAG_INVALID';
      throw new Refusal(code === 'DIGEST_INVALID' ? 400 : 404, code, 'that is neither a tag nor a digest');
    }
    return { kind: 'manifest', repository, reference: last };
  }
  throw new Refusal(404, 'UNSUPPORTED', 'there is nothing of that name in the API of a registry');
}

function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    throw new Refusal(400, 'NAME_INVALID', 'the path is not well encoded');
  }
}

function name(text: string): string {
  if (isRepository(text)) return text;
  throw new Refusal(
    400,
    'NAME_INVALID',
    'a repository is lower-case letters and digits, in parts divided by / . _ or -',
  );
}
