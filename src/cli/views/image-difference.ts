import type { FieldDifference, FileDifference, ImageDifference } from '../../image/index.ts';
import { bytesText } from './bytes.ts';
import { count } from './count.ts';

type Seen = NonNullable<FileDifference['after']>;

/** Files shown of one layer unless all are asked for. */
const shownFiles = 20;

/** What differs, for a person: configuration, packages, then files by the layer that they lie in. */
export function* differenceLines(
  differences: readonly (ImageDifference & { readonly architecture: string })[],
  maximumFiles = shownFiles,
): Generator<string> {
  for (const difference of differences) {
    if (differences.length > 1) yield `linux/${difference.architecture}`;
    yield* oneDifference(difference, maximumFiles);
  }
}

function* oneDifference(difference: ImageDifference, maximumFiles: number): Generator<string> {
  const { same, configuration, packages, layers, files } = difference;
  if (same) return yield '  the same';
  for (const each of configuration) yield* fieldLines(each);
  for (const { name, before, after } of packages)
    yield `  package ${name}: ${before ?? '(none)'} -> ${after ?? '(none)'}`;
  const { shared, removed, added } = layers;
  yield `  layers: ${shared} the same, ${removed.length} only before, ${added.length} only after`;
  const byLayer = Map.groupBy(files, ({ before, after }) => (after ?? before)?.layer.purpose ?? '');
  for (const [purpose, list] of byLayer) {
    yield `  in the layer '${purpose}': ${count(list.length, 'file')}`;
    for (const file of list.slice(0, maximumFiles)) yield `    ${fileLine(file)}`;
    if (list.length > maximumFiles) yield `    and ${list.length - maximumFiles} more (--all shows them)`;
  }
  if (configuration.length === 0 && files.length === 0)
    yield '  no file and no setting differs: layers are divided otherwise';
}

function* fieldLines({ field, before, after }: FieldDifference): Generator<string> {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  if (before !== undefined) yield `  - ${field}: ${text(before)}`;
  if (after !== undefined) yield `  + ${field}: ${text(after)}`;
}

const signs = { added: '+', removed: '-', changed: '~' } as const;

function fileLine({ path, change, aspects, before, after }: FileDifference): string {
  const told = aspects.map((aspect) => {
    if (aspect === 'content' && before?.size !== after?.size) return `content (${sizes(before)} -> ${sizes(after)})`;
    if (aspect === 'mode') return `mode (${mode(before)} -> ${mode(after)})`;
    if (aspect === 'owner') return `owner (${owner(before)} -> ${owner(after)})`;
    if (aspect === 'link') return `link (${before?.target} -> ${after?.target})`;
    if (aspect === 'kind') return `kind (${before?.type} -> ${after?.type})`;
    return aspect;
  });
  const size = change === 'added' && after?.type === 'file' ? ` (${bytesText(after.size)})` : '';
  return `${signs[change]} /${path}${told.length > 0 ? `: ${told.join(', ')}` : ''}${size}`;
}

const sizes = (file: Seen | undefined) => bytesText(file?.size ?? 0);
const mode = (file: Seen | undefined) => (file?.mode ?? 0).toString(8).padStart(4, '0');
const owner = (file: Seen | undefined) => `${file?.uid}:${file?.gid}`;
