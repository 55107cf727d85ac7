import { access, mkdir } from 'node:fs/promises';
import { cacheFolder } from '../disk/index.ts';
import { imageVersion, makeImage, openBlobStore, readImageLayout } from '../image/index.ts';
import type { SystemImage } from './settings.ts';
import type { Engine } from './types.ts';

/** The two images that a cluster itself needs, made from the engine's programs; once for each engine. */
export async function ensureSystemImages(engine: Engine): Promise<{ pause: SystemImage; coredns: SystemImage }> {
  const folder = cacheFolder('engine', `${engine.fingerprint}.images-${imageVersion}`);
  await mkdir(folder, { recursive: true });
  const make = async (name: 'pause' | 'coredns', program: string): Promise<SystemImage> => {
    const layout = `${folder}/${name}.oci`;
    if (!(await isThere(`${layout}/index.json`))) {
      const store = await openBlobStore(cacheFolder('blobs'));
      await makeImage({
        store,
        output: layout,
        packages: [],
        files: [{ destination: `/${name}`, source: program, mode: 0o755 }],
        config: { entrypoint: [`/${name}`], user: '65532:65532' },
      });
    }
    const { tag } = await readImageLayout(layout);
    return { reference: `registry.local/banksman/${name}:${tag}`, layout };
  };
  return { pause: await make('pause', engine.pause), coredns: await make('coredns', engine.coredns) };
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
