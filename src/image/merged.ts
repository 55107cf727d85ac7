import { posix } from 'node:path';

/** Links at the root of an image: what Debian calls merged /usr, and two that programs still expect below /var. */
export const rootLinks: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  sbin: 'usr/sbin',
  lib: 'usr/lib',
  lib32: 'usr/lib32',
  lib64: 'usr/lib64',
  libx32: 'usr/libx32',
  'var/run': 'run',
  'var/lock': 'run/lock',
};

/** Where a path really lies: `lib/x/y` -> `usr/lib/x/y`. A layer that had a folder `lib` would hide the link and break the image. */
export function mergedPath(path: string): string {
  for (const [from, to] of Object.entries(rootLinks)) {
    if (path === from) return to;
    if (path.startsWith(`${from}/`)) return to + path.slice(from.length);
  }
  return path;
}

/** The target of a link that moves with its folder: relative ones are made to mean what they meant. */
export function mergedTarget(path: string, target: string): string {
  const moved = mergedPath(path);
  if (moved === path || target.startsWith('/')) return target;
  const meant = mergedPath(posix.normalize(posix.join(posix.dirname(path), target)));
  return posix.relative(posix.dirname(moved), meant) || '.';
}
