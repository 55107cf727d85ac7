import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stored, writeZip } from '../../src/build/zip/write.ts';

export interface ModuleProxy {
  /** Settings under which the client of Go fetches from here and nowhere else. */
  readonly env: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

/**
 * A proxy for Go modules that is a folder, in the form that `go help goproxy` describes.
 *
 * @param modules files by `path@version`. A path has to be one of this run only: what was fetched once is kept by it
 */
export async function moduleProxy(
  modules: Readonly<Record<string, Readonly<Record<string, string>>>>,
): Promise<ModuleProxy> {
  const root = await mkdtemp(join(tmpdir(), 'banksman-proxy-'));
  for (const [name, files] of Object.entries(modules)) {
    const [module = '', version = ''] = name.split('@');
    const folder = join(root, module, '@v');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${version}.info`), JSON.stringify({ Version: version }));
    await writeFile(join(folder, `${version}.mod`), files['go.mod'] ?? `module ${module}\n`);
    const entries = Object.entries(files).map(([path, text]) => stored(`${name}/${path}`, Buffer.from(text)));
    await writeZip(join(folder, `${version}.zip`), entries);
  }
  return {
    env: { GOPROXY: `file://${root}`, GOSUMDB: 'off', GOFLAGS: '', GONOPROXY: '', GOPRIVATE: '' },
    remove: () => rm(root, { recursive: true, force: true }),
  };
}
