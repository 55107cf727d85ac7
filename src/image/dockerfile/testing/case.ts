import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeImage } from '../../make.ts';
import { openBlobStore } from '../../store.ts';
import { type DockerfileImageRequest, makeDockerfileImage } from '../make.ts';
import { contextOf } from './buildah.ts';

/** A Dockerfile with its context. */
export interface Case {
  /** Path -> content; the Dockerfile is one of them. A path that ends in `*` can be run. */
  readonly files: Readonly<Record<string, string>>;
  readonly args?: Readonly<Record<string, string>>;
  readonly target?: string;
  /** Makes what a text can't say. */
  readonly prepare?: (context: string) => void;
}

function lay(folder: string, { files, prepare }: Case): void {
  for (const [path, content] of Object.entries(files)) {
    const absolute = join(folder, path.replace(/\*$/, ''));
    mkdirSync(dirname(absolute), { recursive: true });
    writeFileSync(absolute, content);
    chmodSync(absolute, path.endsWith('*') ? 0o755 : 0o644);
  }
  prepare?.(folder);
}

export const baseLabel = '//test/base:image';

/** An image with accounts, links and a configuration. */
export async function makeBase(folder: string): Promise<string> {
  const output = join(folder, 'base.oci');
  await makeImage({
    store: await openBlobStore(join(folder, 'blobs')),
    output,
    packages: [],
    users: { app: { uid: 1000 } },
    files: [
      { destination: '/usr/bin/tool', content: '#!', mode: 0o755 },
      { destination: '/srv/data/existing', content: 'base', uid: 5, gid: 6 },
    ],
    config: {
      env: { BASE: '1', PATH: '/usr/bin' },
      entrypoint: ['/usr/bin/tool'],
      cmd: ['base-arg'],
      user: '0:0',
      workdir: '/srv',
    },
  });
  return output;
}

/** Makes the image of a case in a folder, which holds the store too. */
export async function make(folder: string, given: Case, more: Partial<DockerfileImageRequest> = {}) {
  const context = join(folder, 'context');
  lay(context, given);
  mkdirSync(join(folder, 'temporary'), { recursive: true });
  const ignore = given.files['.dockerignore'];
  const image = await makeDockerfileImage({
    store: await openBlobStore(join(folder, 'blobs')),
    output: join(folder, 'image.oci'),
    dockerfile: { file: 'bank/Dockerfile', text: given.files.Dockerfile ?? '' },
    context: contextOf(context),
    imageOf: () => undefined,
    temporaryFolder: join(folder, 'temporary'),
    ...(given.args && { args: given.args }),
    ...(given.target !== undefined && { target: given.target }),
    ...(ignore !== undefined && { ignore: { file: '.dockerignore', text: ignore } }),
    ...more,
  });
  return image;
}
