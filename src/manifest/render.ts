import { isScalar } from 'yaml';
import { nearest } from '../fault/index.ts';
import type { Label } from '../graph/index.ts';
import { type LabelledImage, readManifests } from './check.ts';
import { ManifestFault, throwFirst } from './fault.ts';
import { rangeOf } from './read.ts';
import type { ManifestFile, ManifestOptions, RenderedManifests } from './types.ts';

/**
 * Puts references into the places of labels, and nothing else: every other byte stays, comments included. The files follow
 * each other as one stream of YAML documents.
 *
 * @param images label -> reference, such as `registry.local/bank/ledger:0123456789ab`
 * @throws ManifestFault as checkManifests does, and manifest/unresolved-image for a label without a reference
 */
export function renderManifests(
  files: readonly ManifestFile[],
  images: ReadonlyMap<Label, string>,
  options: ManifestOptions,
): RenderedManifests {
  const { images: positions } = readManifests(files, options);
  const faults = positions.filter(({ label }) => !images.has(label)).map((image) => unresolved(image, images));
  throwFirst(faults);
  const rendered = files.map((file) => ({
    path: file.path,
    source: replace(
      file.source,
      positions.filter(({ document }) => document.file === file),
      images,
    ),
  }));
  // Read again: what is sent to a cluster is what the text says, aliases of a replaced node included.
  const { documents } = readManifests(rendered, options);
  return { text: join(rendered.map(({ source }) => source)), documents };
}

function replace(source: string, positions: readonly LabelledImage[], images: ReadonlyMap<Label, string>): string {
  let text = '';
  let at = 0;
  for (const { node, label } of positions) {
    const [start, end] = rangeOf(node);
    text += source.slice(at, start) + written(images.get(label) ?? '', node, source.slice(start, end));
    at = end;
  }
  return text + source.slice(at);
}

/** In the quotes that the label had. A block scalar (`image: >-`) becomes a plain one and keeps the end of its line. */
function written(reference: string, node: LabelledImage['node'], before: string): string {
  const type = isScalar(node) ? node.type : 'PLAIN';
  if (type === 'QUOTE_DOUBLE') return JSON.stringify(reference);
  if (type === 'QUOTE_SINGLE') return `'${reference}'`;
  if (type === 'BLOCK_FOLDED' || type === 'BLOCK_LITERAL') return reference + (/\r?\n$/.exec(before)?.[0] ?? '');
  return reference;
}

function join(texts: readonly string[]): string {
  let whole = '';
  for (const text of texts) {
    // A byte order mark is only for the beginning of a stream.
    const clean = whole === '' ? text : text.replace(/^\uFEFF/, '');
    if (whole !== '') {
      if (!whole.endsWith('\n')) whole += '\n';
      if (!/^(?:%|---(?:\s|$))/.test(clean) && !/(?:^|\n)---\s*\n$/.test(whole)) whole += '---\n';
    }
    whole += clean;
  }
  return whole;
}

function unresolved({ document, node, label }: LabelledImage, images: ReadonlyMap<Label, string>): ManifestFault {
  const meant = nearest(label, images.keys());
  return new ManifestFault('manifest/unresolved-image', `${label} is not an image that was built`, {
    place: document.place(rangeOf(node)),
    next: meant === undefined ? 'name a docker_image target' : `did you mean ${meant}?`,
  });
}
