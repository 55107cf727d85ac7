import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BuiltinRequest } from '../../build/index.ts';
import type { Label } from '../../graph/index.ts';
import { checkManifests, formatBundle, type ManifestFile } from '../../manifest/index.ts';
import { ReleaseFault } from '../fault.ts';
import { badRule, configOf, onlyOutput, readTexts } from './action-config.ts';

/** Checks the manifests when they are built, so that a mistake shows before anything is deployed, and in `banksman test //...`. */
export async function makeBundle({ target, srcs, outputFolder, progress }: BuiltinRequest): Promise<void> {
  const config = configOf(target);
  const containers = readTexts(config, 'containers', target) as Label[];
  const { owner, kind } = config;
  const after = config.after === undefined ? [] : (readTexts(config, 'after', target) as Label[]);
  if (kind !== undefined && kind !== 'service' && kind !== 'infrastructure') {
    throw badRule(target, 'kind is not service or infrastructure');
  }
  const read = async (inputs: typeof srcs.all): Promise<ManifestFile[]> => {
    const files: ManifestFile[] = [];
    for (const { path, absolute } of inputs.flatMap((input) => input.files)) {
      files.push({ path, source: decode(path, await readFile(absolute)) });
    }
    return files;
  };
  const sets = config.patches === undefined ? [] : readTexts(config, 'patches', target);
  const files = await read(srcs.named.manifests ?? srcs.all);
  const patches: Record<string, ManifestFile[]> = {};
  for (const [index, set] of sets.entries()) patches[set] = await read(srcs.named[`patches_${index}`] ?? []);
  const { warnings } = checkManifests(files, {
    package: target.package,
    containers,
    place: target.place,
    unappliedPatches: Object.values(patches).flat(),
  });
  for (const warning of warnings) progress.say(`warning: ${warning.message}`);
  const path = join(outputFolder, onlyOutput(target));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(
    path,
    formatBundle({
      format: 1,
      service: target.label,
      ...(typeof owner === 'string' && { owner }),
      ...(kind !== undefined && { kind }),
      ...(after.length > 0 && { after }),
      containers,
      files,
      ...(sets.length > 0 && { patches }),
    }),
  );
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new ReleaseFault('release/not-text', `${path} is not UTF-8 text`, {
      place: { file: path },
      next: 'save it as UTF-8',
      cause,
    });
  }
}
