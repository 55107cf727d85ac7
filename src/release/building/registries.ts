import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Workspace } from '../../graph/index.ts';
import { ImageFault, type RegistrySettings } from '../../image/index.ts';

/** What the workspace says of registries, with the certificates that it names. @throws ImageFault image/registry-unreachable */
export async function workspaceRegistries(
  workspace: Pick<Workspace, 'root' | 'registries' | 'place'>,
): Promise<RegistrySettings | undefined> {
  if (workspace.registries === undefined) return undefined;
  const read = async (path: string | undefined) => {
    if (path === undefined) return undefined;
    return readFile(resolve(workspace.root, path), 'utf8').catch((cause: Error) => {
      throw new ImageFault(
        'image/registry-unreachable',
        `${path}, which banksman.yaml names for a registry, can't be read`,
        {
          place: workspace.place,
          notes: [cause.message],
          cause,
        },
      );
    });
  };
  const entries = Object.entries(workspace.registries).map(async ([name, { ca, cert, key, plainHttp, mirrors }]) => {
    const texts = { ca: await read(ca), cert: await read(cert), key: await read(key) };
    const known = Object.entries(texts).filter(([, text]) => text !== undefined);
    const rest = { ...(plainHttp !== undefined && { plainHttp }), ...(mirrors !== undefined && { mirrors }) };
    return [name, { ...Object.fromEntries(known), ...rest }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
