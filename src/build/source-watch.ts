import { statSync } from 'node:fs';
import type { Target } from '../graph/index.ts';
import { BuildFault } from './fault.ts';
import { allInputs } from './target.ts';

/**
 * Finds sources that are edited while they are built: their hash is of one content, what the action has read may be of
 * another, and the result of such an action must not be kept.
 */
export interface SourceWatch {
  /** A source is about to be hashed. */
  note(path: string): void;
  /** @throws BuildFault build/input-changed where a source of the target has changed since it was noted */
  check(target: Target): void;
}

/** @param placeOf where on the disk a source is */
export function createSourceWatch(placeOf: (path: string) => string): SourceWatch {
  /** State of a file before its hash was computed. */
  const states = new Map<string, string>();
  const state = (path: string): string => {
    const info = stateOf(placeOf(path));
    return info === undefined ? 'gone' : `${info.ino} ${info.size} ${info.mtimeNs} ${info.ctimeNs}`;
  };
  return {
    note(path) {
      if (!states.has(path)) states.set(path, state(path));
    },
    check(target) {
      for (const input of allInputs(target.srcs)) {
        if (input.kind !== 'file' || !states.has(input.path) || states.get(input.path) === state(input.path)) continue;
        throw new BuildFault(
          'build/input-changed',
          `${input.path} was changed while ${target.label} was built from it`,
          {
            place: target.place,
            next: 'build again',
          },
        );
      }
    },
  };
}

/** Undefined where nothing is, and for a link that leads back to itself: whoever lays it out tells of it. */
function stateOf(path: string) {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') return undefined;
    throw error;
  }
}
