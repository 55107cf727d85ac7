import { readFile } from 'node:fs/promises';
import { sumOfWheel } from '../../build/index.ts';
import { cacheFolder, writeAtomically } from '../../disk/index.ts';
import { isFault } from '../../fault/index.ts';
import {
  billOfMaterials,
  type Digest,
  hexOf,
  type LayerContents,
  layerContentsFormat,
  predicateTypes,
  provenanceOf,
  type ResourceDescriptor,
  readLayout,
  type Source,
  type Statement,
  takeInventory,
} from '../../image/index.ts';
import type { WorkspaceBuilder } from '../building/builder.ts';
import type { BuiltImage } from '../types.ts';
import { type Ingredients, ingredientsOf } from './modules.ts';
import type { ProofSettings } from './settings.ts';
import { banksmanVersion } from './version.ts';

export interface StatementsRequest {
  readonly builder: WorkspaceBuilder;
  readonly image: BuiltImage;
  readonly source: Source;
  readonly settings: ProofSettings;
}

/** What `cosign sign` would say of the image: that it is meant. */
export function signatureStatement({ repository, digest }: Pick<BuiltImage, 'repository' | 'digest'>): Statement {
  return about(repository, digest, predicateTypes.signature, {});
}

/** What the builder says of an image that it has built: that it is meant, how it came to be, and what is in it. */
export async function statementsOf(request: StatementsRequest): Promise<Statement[]> {
  const { builder, image, source, settings } = request;
  const { label, repository, digest } = image;
  const ingredients = await ingredientsFor(builder, image);
  const { images } = await readLayout(image.layout);
  const provenance = provenanceOf({
    name: repository,
    digest: digest as Digest,
    label,
    workspace: builder.workspace.name,
    source,
    platforms: images.map(({ configuration: { os, architecture } }) => `${os}/${architecture}`),
    toolchains: ingredients.toolchains,
    reproducible: image.reproducible,
    materials: [...(await basesOf(builder, ingredients)), ...ingredients.materials],
    builder: { id: settings.builder, version: { banksman: banksmanVersion() }, invocation: settings.invocation },
  });
  const bill = await billOf(image, ingredients);
  return [signatureStatement(image), provenance, about(repository, digest, predicateTypes.sbom, bill)];
}

/** The bill of materials of an image: CycloneDX 1.6 as JSON. */
export async function imageBill(
  builder: WorkspaceBuilder,
  image: BuiltImage,
): Promise<Readonly<Record<string, unknown>>> {
  return billOf(image, await ingredientsFor(builder, image));
}

async function ingredientsFor(builder: WorkspaceBuilder, { label }: BuiltImage): Promise<Ingredients> {
  return ingredientsOf(builder.graph, label, {
    async built(dependency) {
      const { targets } = await builder.build([dependency]);
      return targets.get(dependency)?.outputs ?? [];
    },
    // Without pip or a network it is not known, and all that it may be are named.
    taken: (library) =>
      sumOfWheel(library, { cacheFolder: cacheFolder(), signal: new AbortController().signal }).catch(
        (error: unknown) => {
          if (isFault(error)) return undefined;
          throw error;
        },
      ),
  });
}

async function billOf({ repository, digest, layout }: BuiltImage, { modules, archives }: Ingredients) {
  const inventory = await takeInventory(layout, rememberLayer);
  return billOfMaterials({
    name: repository,
    digest: digest as Digest,
    inventory,
    modules,
    archives,
    version: banksmanVersion(),
  });
}

/** Layers of packages are in many images, and read once: what they tell is kept by their digest. */
async function rememberLayer(layer: Digest, read: () => Promise<LayerContents>): Promise<LayerContents> {
  const path = cacheFolder('layers', `${layerContentsFormat}`, `${hexOf(layer)}.json`);
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LayerContents;
  } catch {
    // Not there, or damaged: it is read anew.
  }
  const contents = await read();
  await writeAtomically(path, JSON.stringify(contents));
  return contents;
}

/** Images below, by the digests that they have now. */
async function basesOf(builder: WorkspaceBuilder, { bases }: Ingredients): Promise<ResourceDescriptor[]> {
  const { targets } = await builder.build(bases);
  return Promise.all(
    bases.map(async (label) => {
      const layout = targets.get(label)?.outputs[0]?.absolute ?? '';
      const { digest } = await readLayout(layout);
      return { name: label, digest: { sha256: hexOf(digest) } };
    }),
  );
}

function about(name: string, digest: string, predicateType: string, predicate: Statement['predicate']): Statement {
  return { subject: [{ name, digest: { sha256: hexOf(digest as Digest) } }], predicateType, predicate };
}
