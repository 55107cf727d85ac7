import type { Document, Node, YAMLSeq } from 'yaml';
import { isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from 'yaml';
import type { Place } from '../fault/index.ts';
import { ManifestFault } from './fault.ts';
import type { ManifestFile } from './types.ts';

/** etcd takes requests of 1.5 MiB; a file may hold several objects, but one of more than this was not written by hand. */
const maximumLength = 4 * 1024 * 1024;

/** One YAML document that has content. */
export interface YamlDocument {
  readonly file: ManifestFile;
  readonly yaml: Document.Parsed;
  /** Plain data; anew where patches have changed the nodes. */
  value: unknown;
  /** Where nodes come from that a patch brought in. */
  readonly origins: WeakMap<object, YamlDocument>;
  /** Place of a range of offsets in the file. */
  place(range: readonly [number, number, ...unknown[]]): Place;
}

/** `!param name` stands for a parameter of the environment. */
export const parameterTag = '!param';

/**
 * Parses the documents of a manifest. Documents that hold only comments are left out.
 *
 * YAML 1.2 core schema, with what differs in Kubernetes' own reader (YAML 1.1) either read as Kubernetes does (`0644`) or
 * refused (`yes`), so that no tool sees another value than this one. Merge keys belong to neither and are refused.
 *
 * @param faults what is wrong is added here, so that one bad file does not hide the others
 */
export function readDocuments(file: ManifestFile, faults: ManifestFault[]): YamlDocument[] {
  if (file.source.length > maximumLength) {
    faults.push(
      new ManifestFault('manifest/too-large', `${file.path} has ${file.source.length} characters`, {
        place: { file: file.path },
        next: `split it; the limit is ${maximumLength}`,
      }),
    );
    return [];
  }
  const lines = new LineCounter();
  const place = ([start, end]: readonly [number, number, ...unknown[]]): Place => {
    const { line, col } = lines.linePos(start);
    const firstLine = file.source.slice(start, end).split('\n', 1)[0] ?? '';
    return { file: file.path, line, column: col, length: Math.max(1, firstLine.length), source: file.source };
  };
  let parsed: Document.Parsed[];
  try {
    const result = parseAllDocuments(file.source, {
      lineCounter: lines,
      prettyErrors: false,
      version: '1.2',
      customTags: [parameter],
    });
    parsed = Array.isArray(result) ? result : [];
  } catch (cause) {
    // The parser descends by recursion: nesting of thousands of levels ends its stack.
    faults.push(unreadable(file, cause));
    return [];
  }
  const documents: YamlDocument[] = [];
  for (const yaml of parsed) {
    const before = faults.length;
    for (const error of [...yaml.errors, ...yaml.warnings]) {
      faults.push(
        new ManifestFault('manifest/bad-yaml', told(error.code, error.message), {
          place: place(error.pos),
          next: remedies[error.code],
        }),
      );
    }
    if (faults.length > before) continue;
    if (yaml.contents === null || (isScalar(yaml.contents) && yaml.contents.value === null)) continue;
    try {
      checkScalars(yaml, place, faults);
      if (faults.length === before) {
        documents.push({ file, yaml, value: yaml.toJS({ maxAliasCount: 100 }), origins, place });
      }
    } catch (cause) {
      faults.push(unreadable(file, cause, place(yaml.range)));
    }
  }
  return documents;
}

/** All documents share it: a node is noted once, when it is taken out of its own. */
const origins = new WeakMap<object, YamlDocument>();

const parameter = { tag: parameterTag, resolve: (text: string) => text };

/** Where a node is written, in the document's own file or in the patch that it came from. */
export function placeOf(document: YamlDocument, node: Node | null | undefined): Place {
  if (node === null || node === undefined) return document.place([0, 0]);
  return (origins.get(node) ?? document).place(rangeOf(node));
}

/** The node at a path of keys and indexes, or the nearest one above it that is written down. */
export function nodeAt(document: YamlDocument, path: readonly (string | number)[]): Node {
  let node: Node = document.yaml.contents as Node;
  for (const step of path) {
    const next = child(resolve(document, node), step);
    if (next === undefined) return node;
    node = next;
  }
  return node;
}

/** What an alias stands for; other nodes are themselves. */
export function resolve(document: YamlDocument, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document.yaml) : node;
}

function child(node: unknown, step: string | number): Node | undefined {
  if (isSeq(node)) return (typeof step === 'number' ? node.items[step] : keyed(node, step)) as Node | undefined;
  if (!isMap(node)) return undefined;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
  return (pair?.value ?? pair?.key ?? undefined) as Node | undefined;
}

/** The entry of a list that the API server names by its keys: `name="ledger"`, `port=80,protocol="TCP"`. Defaults need not be written. */
function keyed(list: YAMLSeq, step: string): unknown {
  const keys = [...step.matchAll(/([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]+)/g)];
  if (keys.length === 0) return undefined;
  return list.items.find(
    (item) =>
      isMap(item) &&
      keys.every(([, key = '', value = '']) => {
        const found: unknown = item.get(key);
        return found === undefined ? key !== keys[0]?.[1] : String(found) === value.replace(/^"|"$/g, '');
      }),
  );
}

export function rangeOf(node: Node): readonly [number, number] {
  const [start, end] = node.range ?? [0, 0];
  return [start, end];
}

function checkScalars(
  yaml: Document.Parsed,
  place: (range: readonly [number, number]) => Place,
  faults: ManifestFault[],
): void {
  visit(yaml, {
    Scalar(key, node, path) {
      if (node.type !== 'PLAIN' || node.source === undefined) return;
      const { source } = node;
      if (key === 'key' && source === '<<' && isPair(path.at(-1))) {
        faults.push(
          new ManifestFault('manifest/bad-yaml', 'merge keys (<<) are not part of YAML 1.2', {
            place: place(rangeOf(node)),
            next: 'write the fields out, or use an alias for the whole value',
          }),
        );
      } else if (/^0[0-7]+$/.test(source) && typeof node.value === 'number') {
        // As in every reader of Kubernetes: defaultMode: 0400 is r--------, not four hundred.
        node.value = Number.parseInt(source, 8);
      } else if (ambiguous.test(source) && node.tag === undefined) {
        faults.push(
          new ManifestFault(
            'manifest/ambiguous-value',
            `${source} is a boolean to YAML 1.1, which Kubernetes' tools read, and a text to YAML 1.2`,
            { place: place(rangeOf(node)), next: `write "${source}" for the text, or true or false` },
          ),
        );
      } else if (typeof node.value === 'number' && Number.isInteger(node.value) && !Number.isSafeInteger(node.value)) {
        faults.push(
          new ManifestFault('manifest/ambiguous-value', `${source} is too large a number to be kept exactly`, {
            place: place(rangeOf(node)),
            next: 'put it into quotes, if it is a text',
          }),
        );
      }
    },
  });
}

const ambiguous = /^(?:yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)$/;

function told(code: string, message: string): string {
  return code === 'DUPLICATE_KEY' ? 'this key stands twice in one map' : message.replace(/ at line \d+.*$/s, '');
}

const remedies: Record<string, string | undefined> = {
  DUPLICATE_KEY: 'keep one of the two',
  TAB_AS_INDENT: 'indent with spaces',
  BAD_ALIAS: 'define the anchor before the alias',
};

function unreadable(file: ManifestFile, cause: unknown, place: Place = { file: file.path }): ManifestFault {
  const deep = cause instanceof RangeError;
  const reason = deep ? 'it is nested too deeply' : cause instanceof Error ? cause.message : String(cause);
  return new ManifestFault('manifest/bad-yaml', `${file.path} can't be read: ${reason}`, { place, cause });
}
