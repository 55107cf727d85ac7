import type { Place } from '../../fault/index.ts';
import {
  EvaluationError,
  freeze,
  fromJson,
  type JsonValue,
  placeOf,
  type Source,
  type Value,
} from '../../language/index.ts';
import { GraphFault } from '../fault.ts';
import type { SourceTree } from './tree.ts';

/** The text of a file that evaluation reads. @throws GraphFault graph/unreadable where it is no UTF-8 */
export function readText(tree: SourceTree, path: string): string | undefined {
  const bytes = tree.read(path);
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new GraphFault('graph/unreadable', `${path} is not UTF-8 text`, {
      place: { file: path },
      next: 'save it as UTF-8',
      cause,
    });
  }
}

/** The text of a file that evaluation was told of by a listing. @throws GraphFault graph/unreadable where it can't be read */
export function readBuildFile(tree: SourceTree, path: string): string {
  const text = readText(tree, path);
  if (text !== undefined) return text;
  throw new GraphFault('graph/unreadable', `${path} is a link that leads out of the workspace, or to no file`, {
    place: { file: path },
    next: 'put the file itself there, or have the link lead to one in the workspace',
  });
}

/** A JSON file as a value, frozen. @throws GraphFault graph/bad-data with the place in that file */
export function jsonFile(path: string, text: string): Value {
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new GraphFault('graph/bad-data', `${path} is not valid JSON`, {
      place: placeOfSyntaxError(path, text, (cause as Error).message),
      notes: [(cause as Error).message],
      next: 'mend it; a lock file can also be removed and written anew',
      cause,
    });
  }
  try {
    const value = fromJson(json);
    freeze(value);
    return value;
  } catch (cause) {
    if (!(cause instanceof EvaluationError)) throw cause;
    throw new GraphFault('graph/bad-data', `${path}: ${cause.message}`, {
      place: { file: path },
      next: cause.next,
      cause,
    });
  }
}

/** V8 tells the offset in its message, or nothing where the text just ends. */
function placeOfSyntaxError(path: string, text: string, message: string): Place {
  const source: Source = { file: path, text, internal: false };
  const position = /at position (\d+)/.exec(message)?.[1];
  const offset = Math.min(position === undefined ? text.length : Number(position), Math.max(0, text.trimEnd().length));
  return placeOf(source, offset, offset + 1);
}
