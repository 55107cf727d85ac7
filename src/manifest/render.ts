import { isScalar } from 'yaml';
import { nearest } from '../fault/index.ts';
import type { Label } from '../graph/index.ts';
import { type LabelledImage, readManifests } from './check.ts';
import { ManifestFault, throwFirst } from './fault.ts';
import type { Adapted } from './patch/adapt.ts';
import { identityOf } from './patch/target.ts';
import { nodeAt, placeOf, rangeOf } from './read.ts';
import type { ManifestDocument, ManifestFile, ManifestOptions, RenderedManifests } from './types.ts';

/**
 * Puts references into the places of labels, and nothing else: every other byte stays, comments included. A file with an object that
 * parameters or patches change is written anew, with its comments. The files follow each other as one stream of YAML documents.
 *
 * @param images label -> reference, such as `registry.local/bank/ledger:0123456789ab`
 * @throws ManifestFault as checkManifests does, and manifest/unresolved-image for a label without a reference
 */
export function renderManifests(
  files: readonly ManifestFile[],
  images: ReadonlyMap<Label, string>,
  options: ManifestOptions,
): RenderedManifests {
  const { images: positions, adapted } = readManifests(files, { ...options, parameters: options.parameters ?? {} });
  const faults = positions.filter(({ label }) => !images.has(label)).map((image) => unresolved(image, images));
  throwFirst(faults);
  const rendered = files.flatMap((file) => {
    const own = positions.filter(({ document }) => document.file === file);
    const isChanged = [...adapted.changed].some((document) => document.file === file);
    if (!isChanged) return [{ path: file.path, source: replace(file.source, own, images) }];
    for (const { node, label } of own) setReference(node, images.get(label) ?? '');
    const documents = adapted.documents.filter((document) => document.file === file);
    if (documents.length === 0) return [];
    // The file as it would be written had the patches been typed into it; comments stay with what they stand beside.
    return [{ path: file.path, source: join(documents.map(({ yaml }) => yaml.toString({ lineWidth: 0 }))) }];
  });
  if (rendered.length === 0) return { text: '', documents: [] };
  // Read again: what is sent to a cluster is what the text says, aliases of a replaced node included.
  const { parameters: _parameters, patches: _patches, ...plain } = options;
  const { documents } = readManifests(rendered, plain);
  return {
    text: join(rendered.map(({ source }) => source)),
    documents: documents.map((each) => atSource(each, adapted)),
  };
}

function setReference(node: LabelledImage['node'], reference: string): void {
  if (!isScalar(node)) return;
  node.value = reference;
  if (node.type === 'BLOCK_FOLDED' || node.type === 'BLOCK_LITERAL') node.type = 'PLAIN';
}

/** A document that was changed is told of by where its values were written, not by lines of a text that nobody has seen. */
function atSource(document: ManifestDocument, { documents, changed }: Adapted): ManifestDocument {
  const { kind, metadata } = document.object;
  const source = documents.find((each) => {
    const identity = identityOf(each);
    return (
      identity.kind === kind && identity.name === metadata.name && identity.apiVersion === document.object.apiVersion
    );
  });
  if (source === undefined || !changed.has(source)) return document;
  const locate: ManifestDocument['locate'] = (path) => placeOf(source, nodeAt(source, path));
  return { object: document.object, place: locate([]), locate };
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
    place: placeOf(document, node),
    next: meant === undefined ? 'name a docker_image target' : `did you mean ${meant}?`,
  });
}
