import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { digestOf, hexOf } from '../../digest.ts';
import { layoutBlob, readImageLayout } from '../../layout.ts';
import type { ContextFile } from '../context.ts';

/** A folder as the context that it would be for `docker build`. */
export function contextOf(folder: string): ContextFile[] {
  return walk(folder)
    .map((path) => ({ path, absolute: join(folder, path) }))
    .filter(({ absolute }) => lstatSync(absolute).isFile())
    .map(({ path, absolute }) => {
      const sha256 = hexOf(digestOf(readFileSync(absolute)));
      const executable = (lstatSync(absolute).mode & 0o100) !== 0;
      return { path, absolute, kind: 'file', sha256, executable };
    });
}

export interface Unpacked {
  readonly config: Readonly<Record<string, unknown>>;
  /** Path -> type, mode, owner, content. */
  readonly files: Readonly<Record<string, string>>;
}

/** What a runtime would see of the image in a layout. Root is needed for owners. */
export async function unpackLayout(layout: string, into: string): Promise<Unpacked> {
  const { manifest, configuration } = await readImageLayout(layout);
  mkdirSync(into, { recursive: true });
  for (const { digest, mediaType } of manifest.layers) {
    const zip = mediaType.endsWith('gzip') ? ['--gzip'] : [];
    execFileSync('tar', [
      '--extract',
      '--same-permissions',
      '--same-owner',
      '--numeric-owner',
      ...zip,
      '--file',
      layoutBlob(layout, digest),
      '--directory',
      into,
    ]);
  }
  return { config: configuration.config, files: listing(into) };
}

/** Paths of all that is in a folder. Links are not followed: those of an image lead anywhere. */
function walk(root: string, below = ''): string[] {
  return readdirSync(join(root, below), { withFileTypes: true })
    .map((entry) => ({ entry, path: below === '' ? entry.name : `${below}/${entry.name}` }))
    .flatMap(({ entry, path }) => (entry.isDirectory() ? [path, ...walk(root, path)] : [path]))
    .sort();
}

function listing(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const path of walk(root)) {
    const info = lstatSync(join(root, path));
    const owner = `${info.uid}:${info.gid}`;
    const mode = (info.mode & 0o7777).toString(8);
    if (info.isSymbolicLink()) found[path] = `link ${owner} ${readlinkSync(join(root, path))}`;
    else if (info.isDirectory()) found[path] = `folder ${mode} ${owner}`;
    else found[path] = `file ${mode} ${owner} ${readFileSync(join(root, path), 'latin1')}`;
  }
  return found;
}

export const hasBuildah = (() => {
  try {
    execFileSync('buildah', ['--version'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

/**
 * The same by buildah.
 *
 * @param images layouts by the labels that the Dockerfile has
 */
export async function buildWithBuildah(
  scratch: string,
  context: string,
  images: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<Unpacked> {
  mkdirSync(scratch, { recursive: true });
  const storage = ['--root', join(scratch, 'root'), '--runroot', join(scratch, 'run'), '--storage-driver', 'vfs'];
  // A path with capitals can't become the name of an image: layouts are named from where they lie.
  const run = (words: readonly string[], cwd = scratch) =>
    execFileSync('buildah', [...storage, ...words], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  let dockerfile = readFileSync(join(context, 'Dockerfile'), 'utf8');
  for (const [label, layout] of Object.entries(images)) {
    dockerfile = dockerfile.replaceAll(
      label,
      run(['pull', '--quiet', `oci:${basename(layout)}`], dirname(layout)).trim(),
    );
  }
  const file = join(scratch, 'Dockerfile');
  writeFileSync(file, dockerfile);
  run([
    'bud',
    '--isolation',
    'chroot',
    '--format',
    'docker',
    '--file',
    file,
    '--tag',
    'compared:1',
    '--timestamp',
    '0',
    ...args,
    context,
  ]);
  const layout = join(scratch, 'buildah.oci');
  run(['push', '--format', 'oci', 'compared:1', `oci:${layout}`]);
  const { Docker } = JSON.parse(run(['inspect', '--type', 'image', 'compared:1'])) as {
    Docker: { config: Record<string, unknown> };
  };
  const { files } = await unpackLayout(layout, join(scratch, 'unpacked'));
  return { config: Docker.config, files };
}
