import { lstatSync, readFileSync, type Stats } from 'node:fs';
import { Worker } from 'node:worker_threads';

/**
 * What stands, as it is kept: a line of JSON with its format and conditions, then a line for each target, which has these
 * between tabs: label, hash, `b` for a program or `g`, of each output the state of its file (inode, milliseconds of its last
 * change, bytes) and its path, and all artifacts as JSON.
 */
export interface StandingRecord {
  readonly header: string;
  /** By label. */
  readonly lines: Map<string, string>;
  /** Labels whose outputs are not as they were put in place. */
  readonly touched: ReadonlySet<string>;
}

/** What a look at the record and at all of the outputs gives. */
interface Look {
  readonly text: Uint8Array;
  /** Numbers of the lines, the header's being 0, whose files have changed. */
  readonly touched: readonly number[];
}

export interface StandingFiles {
  /** The record. */
  readonly file: string;
  /** Where outputs are, programs and others; with `/` at the end. */
  readonly folders: { readonly b: string; readonly g: string };
}

const firstPlace = 3;
const fieldsOfPlace = 4;
/** Bytes of a record from which on it is looked through in a thread of its own: some thousand targets. */
const large = 1_000_000;

/**
 * Reads the record and looks at the files of all outputs, beside whatever else goes on: of a hundred thousand files this is most
 * of what a build with nothing to do does.
 *
 * @returns undefined where there is none that can be read
 */
export async function readStanding(files: StandingFiles): Promise<StandingRecord | undefined> {
  const size = lstatSync(files.file, { throwIfNoEntry: false })?.size;
  if (size === undefined) return undefined;
  const found = size < large ? look(files) : await lookAside(files);
  if (found === undefined) return undefined;
  const [header = '', ...lines] = Buffer.from(found.text.buffer, found.text.byteOffset, found.text.byteLength)
    .toString('utf8')
    .split('\n');
  // A file is replaced as a whole, so that it ends as it was written.
  if (lines.pop() !== '') return undefined;
  const label = (line: string) => line.slice(0, line.indexOf('\t'));
  return {
    header,
    lines: new Map(lines.map((line) => [label(line), line])),
    touched: new Set(found.touched.map((number) => label(lines[number - 1]!))),
  };
}

/** @returns undefined where the record can't be read */
export function look({ file, folders }: StandingFiles): Look | undefined {
  let text: Buffer;
  try {
    text = readFileSync(file);
  } catch {
    // Gone, or not ours: everything is looked at.
    return undefined;
  }
  const touched: number[] = [];
  text
    .toString('utf8')
    .split('\n')
    .forEach((line, number) => {
      if (number === 0 || line === '') return;
      const fields = line.split('\t');
      const folder = folders[fields[2] as 'b' | 'g'];
      for (let at = firstPlace; at < fields.length - 1; at += fieldsOfPlace) {
        const stat = lstatSync(`${folder}${fields[at + 3]}`, { throwIfNoEntry: false });
        if (stat !== undefined && stateOfFile(stat) === `${fields[at]}\t${fields[at + 1]}\t${fields[at + 2]}`) continue;
        touched.push(number);
        break;
      }
    });
  return { text, touched };
}

export function stateOfFile({ ino, mtimeMs, size }: Stats): string {
  return `${ino}\t${mtimeMs}\t${size}`;
}

async function lookAside(files: StandingFiles): Promise<Look | undefined> {
  const worker = new Worker(new URL('./standing-thread.ts', import.meta.url), { workerData: files });
  try {
    return await new Promise((resolve, reject) => {
      worker.on('message', resolve).on('error', reject);
    });
  } catch {
    // No thread to be had: without one it takes longer.
    return look(files);
  } finally {
    await worker.terminate();
  }
}
