import { ImageFault } from '../fault.ts';
import type { BlobStore } from '../store.ts';
import { applyArchive, type UnpackedArchive, unpackArchive } from './archive.ts';
import { type Changes, recordChanges } from './changes.ts';
import { type CopyOptions, copySource, copyWithParents, type FoundSource, findSources, isFolderName } from './copy.ts';
import { CopyProblem } from './copy-problem.ts';
import { DockerfileFault } from './fault.ts';
import { fetchSource, isRemote } from './fetch-source.ts';
import { findOwner } from './find-owner.ts';
import { compilePatterns, type PathFilter, PatternProblem } from './ignore.ts';
import type { CopyStep } from './plan-stage.ts';
import { type LogicalLine, placeOf, type Word } from './source.ts';
import { emptyTree, partsOf, resolvePath, type Tree } from './tree.ts';

export interface CopyRequest {
  readonly store: BlobStore;
  readonly step: CopyStep;
  readonly line: LogicalLine;
  /** Of the stage that is copied to. */
  readonly tree: Tree;
  readonly source: Tree;
  /** Names the source in faults: `the context`. */
  readonly what: string;
  /** Of the context: where the only file of a name is. */
  readonly byName?: ((name: string) => string | undefined) | undefined;
  readonly signal: AbortSignal | undefined;
  warn(message: string): void;
}

/** Something to be copied, with the word that named it. */
interface Item {
  readonly word: Word;
  readonly found: Pick<FoundSource, 'node' | 'name'>;
  readonly archive: UnpackedArchive | undefined;
}

/**
 * Carries out a COPY or ADD on a stage's files.
 *
 * @returns what has changed, for the layer
 * @throws DockerfileFault, ImageFault for archives
 */
export async function carryOutCopy(request: CopyRequest): Promise<Changes> {
  const { step, line, tree } = request;
  const owner = step.owner && (await findOwner(step.owner.text, tree, line, step.owner.word));
  const exclude = step.exclude.length === 0 ? undefined : excluding(request);
  const options: CopyOptions = { owner, mode: step.mode, exclude };
  // With --link nothing below is looked at: the files lie in a layer as they would in an empty image.
  const changes = recordChanges(step.link ? emptyTree() : tree);
  if (step.parents) copyParents(request, changes, options);
  else {
    const items = [...(await itemsOf(request)), ...heredocsOf(step)];
    checkDestination(request, changes, items);
    for (const { word, found, archive } of items) {
      atPlace(line, word, () => {
        if (archive === undefined) copySource(changes, found, step.destination, options);
        else {
          const lowered = applyArchive(changes, archive, destinationOf(changes, step.destination), owner);
          if (lowered.length > 0) request.warn(withoutBits(word.text, lowered));
        }
      });
    }
    if (items.length === 0) request.warn(`${line.text.trim()} copies nothing: no file fits its patterns`);
  }
  if (step.link) putOnTop(changes, tree);
  return changes;
}

function withoutBits(archive: string, paths: readonly string[]): string {
  const [first, ...others] = paths;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return `${first}${more} of ${archive} would run as the owner of the file (set-user-ID, set-group-ID): the bits are dropped, COPY --chmod sets them`;
}

async function itemsOf(request: CopyRequest): Promise<Item[]> {
  const { store, step, line, source, what, signal } = request;
  const items: Item[] = [];
  for (const { word, text } of step.sources) {
    const { kind, checksum } = step;
    if (kind === 'add' && isRemote(text)) {
      const found = await fetchSource(store, { word, text }, checksum, line, signal);
      items.push({ word, found, archive: step.unpack ? await archiveOf(request, word, found) : undefined });
      continue;
    }
    if (isRemote(text)) {
      throw new DockerfileFault('dockerfile/remote-source', `COPY can't fetch ${text}`, {
        place: placeOf(line, word),
        next: 'write ADD --checksum=sha256:..., or fetch it with remote_file, name that in srcs, and COPY it',
      });
    }
    if (checksum !== undefined) {
      throw new DockerfileFault('dockerfile/bad-flag', '--checksum is for files from elsewhere', {
        place: placeOf(line, checksum.word),
      });
    }
    const found = atPlace(line, word, () => findSources(source, text, what, request.byName));
    for (const each of found) {
      const unpacks = kind === 'add' && step.unpack !== false;
      items.push({ word, found: each, archive: unpacks ? await archiveOf(request, word, each) : undefined });
    }
  }
  return items;
}

async function archiveOf(
  { store, line }: CopyRequest,
  word: Word,
  { node, name }: Pick<FoundSource, 'node' | 'name'>,
): Promise<UnpackedArchive | undefined> {
  if (node.type !== 'file') return undefined;
  try {
    return await unpackArchive(store, node, name);
  } catch (error) {
    if (!(error instanceof ImageFault)) throw error;
    throw new DockerfileFault('dockerfile/bad-archive', error.message, {
      place: placeOf(line, word),
      next: error.next ?? 'check where the archive comes from; COPY takes it as the file that it is',
      cause: error,
    });
  }
}

function heredocsOf({ heredocs, destinationWord }: CopyStep): Item[] {
  return heredocs.map(({ name, content }) => {
    const bytes = Buffer.from(content);
    return {
      word: destinationWord,
      archive: undefined,
      found: {
        name,
        node: {
          type: 'file',
          mode: 0o644,
          uid: 0,
          gid: 0,
          size: bytes.length,
          content: { bytes, identity: `text ${content}` },
        },
      },
    };
  });
}

/** The reference: "If you specify multiple source files ... the destination must be a directory (must end with a slash)". */
function checkDestination({ step, line }: CopyRequest, { tree }: Changes, items: readonly Item[]): void {
  const several = step.sources.length + step.heredocs.length > 1 || items.length > 1;
  if (!several || isFolderName(step.destination)) return;
  const place = resolvePath(tree, partsOf(step.destination));
  if (place !== undefined && tree.at(place)?.type === 'directory') return;
  throw new DockerfileFault('dockerfile/bad-destination', `several files can't all become ${step.destination}`, {
    place: placeOf(line, step.destinationWord),
    next: `end the destination with a slash: ${step.destination}/`,
  });
}

function copyParents(request: CopyRequest, changes: Changes, options: CopyOptions): void {
  const { step, line, source, what } = request;
  let count = 0;
  for (const { word, text } of step.sources) {
    count += atPlace(line, word, () =>
      copyWithParents(changes, source, text, step.destination, { ...options, patternsOf: compilePatterns }, what),
    );
  }
  if (step.heredocs.length > 0) {
    throw new DockerfileFault('dockerfile/bad-flag', '--parents is for files, and a heredoc has no folder', {
      place: placeOf(line, step.destinationWord),
    });
  }
  if (count === 0) request.warn(`${line.text.trim()} copies nothing: no file fits its patterns`);
}

function destinationOf({ tree }: Changes, destination: string): string[] {
  const place = resolvePath(tree, partsOf(destination));
  if (place !== undefined) return place;
  throw new CopyProblem('bad-destination', `${JSON.stringify(destination)} is a link that leads in circles`);
}

function excluding({ step, line }: CopyRequest): PathFilter {
  try {
    return compilePatterns(step.exclude.map(({ text }) => text));
  } catch (error) {
    if (!(error instanceof PatternProblem)) throw error;
    const word = step.exclude[error.index] ?? step.destinationWord;
    throw new DockerfileFault('dockerfile/bad-value', error.message, { place: placeOf(line, word) });
  }
}

/** What a layer of its own looks like on what is below it. */
function putOnTop(changes: Changes, tree: Tree): void {
  const { entries } = changes.entries();
  for (const { path } of entries) {
    const parts = path.split('/');
    const node = changes.tree.at(parts);
    if (node === undefined) continue;
    const there = tree.at(parts);
    if (node.type !== 'directory') tree.put(parts, node);
    else tree.put(parts, { ...node, children: there?.type === 'directory' ? there.children : new Map() });
  }
}

function atPlace<T>(line: LogicalLine, word: Word, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof PatternProblem) {
      throw new DockerfileFault('dockerfile/bad-value', error.message, { place: placeOf(line, word) });
    }
    if (!(error instanceof CopyProblem)) throw error;
    throw new DockerfileFault(`dockerfile/${error.code}`, error.message, {
      place: placeOf(line, word),
      next: error.next,
    });
  }
}
