/**
 * What an `image:` says. A text that begins with `/` or `:` can't be a reference (distribution-spec grammar), so that a
 * label is never taken for one.
 */
export type ImageText =
  | { readonly kind: 'label' }
  | { readonly kind: 'reference'; readonly pinned: boolean }
  | { readonly kind: 'neither' };

export function readImageText(text: string): ImageText {
  if (text.startsWith('//') || text.startsWith(':')) return { kind: 'label' };
  const match = reference.exec(text);
  if (match === null) return { kind: 'neither' };
  const { tag, digest } = match.groups ?? {};
  return { kind: 'reference', pinned: digest !== undefined || (tag !== undefined && tag !== 'latest') };
}

/** github.com/distribution/reference: [domain[:port]/]path[:tag][@digest]. */
const reference = new RegExp(
  [
    '^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?/)?',
    '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*',
    '(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?',
    '(?:@(?<digest>[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}))?$',
  ].join(''),
);
