import type { SourceTree } from '../files/tree.ts';

/** What the evaluation of one package, or of one included file, looked at beside the package's own folder. */
export interface Reading {
  /** Files read or asked for, whether they exist or not. */
  readonly files: Set<string>;
  /** Other packages whose targets were looked at, by name. */
  readonly packages: Set<string>;
  /** Lines said. */
  readonly said: string[];
}

/**
 * Notes who reads what while packages are evaluated, one inside the other: so that a later state of the files needs only
 * those evaluated again that looked at what differs. What files a folder holds is not noted: a package looks into its own.
 */
export class ReadingRecorder {
  /** What belongs to no package: every one depends on it. */
  readonly everywhere = newReading();
  /** By package. */
  readonly packages = new Map<string, Reading>();
  private readonly included = new Map<string, Reading>();
  private readonly open: Reading[] = [this.everywhere];

  /** The tree, with every file that is asked for noted. */
  noting(tree: SourceTree): SourceTree {
    const note = (path: string) => this.open[this.open.length - 1]!.files.add(path);
    return {
      ...tree,
      kind(path) {
        note(path);
        return tree.kind(path);
      },
      read(path) {
        note(path);
        return tree.read(path);
      },
      contentHash(path) {
        note(path);
        return tree.contentHash(path);
      },
    };
  }

  say(line: string): void {
    this.open[this.open.length - 1]!.said.push(line);
  }

  /** Another package's targets are asked for. */
  look(packageName: string): void {
    this.open[this.open.length - 1]!.packages.add(packageName);
  }

  /** Evaluation of a package. Once more of the same one, as for its `pre_build` functions, adds to it. */
  inPackage<T>(name: string, body: () => T): T {
    let reading = this.packages.get(name);
    if (reading === undefined) {
      reading = newReading();
      this.packages.set(name, reading);
    }
    return this.within(reading, body);
  }

  /** Evaluation of a file for all that include it. */
  inFile<T>(file: string, body: () => T): T {
    const reading = newReading();
    this.included.set(file, reading);
    return this.within(reading, body);
  }

  /** A file that was evaluated before is included: what that looked at counts for this one too. */
  include(file: string): void {
    const from = this.included.get(file);
    const into = this.open[this.open.length - 1]!;
    if (from === undefined) return;
    for (const path of from.files) into.files.add(path);
    for (const name of from.packages) into.packages.add(name);
    for (const line of from.said) into.said.push(line);
  }

  private within<T>(reading: Reading, body: () => T): T {
    this.open.push(reading);
    try {
      return body();
    } finally {
      this.open.pop();
    }
  }
}

function newReading(): Reading {
  return { files: new Set(), packages: new Set(), said: [] };
}
