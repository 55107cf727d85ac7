import { isFault } from '../../fault/index.ts';
import { type Explanation, explainSince, type Label, type LoadOptions, type Workspace } from '../../graph/index.ts';
import { diffImages, type ImageDifference, type LayoutContent, type LayoutImages } from '../../image/index.ts';
import { type OpenOptions, withImage } from './image-source.ts';

/** Why an image is another one than at a commit: the input, and what of the image came out otherwise because of it. */
export interface ImageExplanation {
  readonly label: Label;
  /** Chain from the input to the image. */
  readonly graph: Explanation & { readonly note?: string };
  readonly before: { readonly tag: string; readonly digest: string } | undefined;
  readonly after: { readonly tag: string; readonly digest: string };
  /** One for each architecture; empty where the image is the same or was not there. */
  readonly differences: readonly (ImageDifference & { readonly architecture: string })[];
}

/**
 * @param since the commit to compare with
 * @throws GraphFault, ReleaseFault, and what building either side throws
 */
export async function explainImage(
  workspace: Workspace,
  label: Label,
  since: string,
  options: Omit<OpenOptions, 'at' | 'workspace'> & { readonly load: LoadOptions },
): Promise<ImageExplanation> {
  const graph = await explainSince(workspace, label, { ...options.load, since });
  const open = { ...options, workspace: async () => ({ workspace, currentPackage: '' }) };
  return withImage(label, open, async ({ content: after }) => {
    const named = ({ tag, digest }: LayoutImages) => ({ tag, digest });
    if (graph.cause === undefined && graph.note === undefined) {
      return { label, graph, before: named(after), after: named(after), differences: [] };
    }
    const result = { label, graph, after: named(after) };
    if (graph.cause?.kind === 'new' && graph.chain.length === 1)
      return { ...result, before: undefined, differences: [] };
    try {
      return await withImage(label, { ...open, at: since }, async ({ content: before }) => ({
        ...result,
        before: named(before),
        differences: await diffAll(before, after),
      }));
    } catch (error) {
      // A commit that did not build has no image to compare with; the chain is told all the same.
      if (!isFault(error) || graph.note === undefined) throw error;
      return { ...result, before: undefined, differences: [] };
    }
  });
}

/** The images of two layouts, architecture by architecture. One that only one of them has differs in nothing to be shown. */
export async function diffAll(
  before: LayoutImages,
  after: LayoutImages,
): Promise<(ImageDifference & { readonly architecture: string })[]> {
  const differences: (ImageDifference & { architecture: string })[] = [];
  for (const image of after.images) {
    const other = before.images.find((each) => platform(each) === platform(image)) ?? lonely(before, after);
    if (other !== undefined) differences.push({ ...(await diffImages(other, image)), architecture: platform(image) });
  }
  return differences;
}

function platform({ configuration }: LayoutContent): string {
  return configuration.architecture;
}

/** Two single images are compared whatever they are for. */
function lonely(before: LayoutImages, after: LayoutImages): LayoutContent | undefined {
  return before.images.length === 1 && after.images.length === 1 ? before.images[0] : undefined;
}
