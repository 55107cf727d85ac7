import type { KeyObject } from 'node:crypto';
import type { Connection } from '../database/index.ts';
import { type Checkpoint, isSignedBy } from './checkpoint.ts';
import { beginning, hashOf, readBody } from './entry.ts';
import { type StoredEntry, storedCheckpoints, storedEntries } from './log.ts';

/** What was found wrong, at which entry. */
export interface Finding {
  readonly number: number;
  readonly what: string;
}

export interface Verification {
  /** Entries that were read. */
  readonly entries: number;
  /** Hash of the last one; zeros where there is none. */
  readonly hash: string;
  /** Entries up to this one are vouched for by a signed checkpoint; 0 where there is none. */
  readonly signedUpTo: number;
  /** Empty where all is as it was written; at most 100. */
  readonly findings: readonly Finding[];
}

const maximumFindings = 100;

/**
 * Reads the whole log and finds what was edited, deleted, put in or put elsewhere since it was written: each entry's hash is over its
 * own text and the hash before. Whoever can write anew everything from some entry on can also make the hashes fit; that is found where
 * a signed checkpoint says another hash, and what is cut off the end where one goes further than the log.
 *
 * @param keys public keys whose checkpoints are believed
 * @param elsewhere checkpoints that were kept outside of the database
 */
export async function verifyLog(
  connection: Connection,
  keys: readonly KeyObject[] = [],
  elsewhere: readonly Checkpoint[] = [],
): Promise<Verification> {
  const findings: Finding[] = [];
  const find = (number: number, what: string) => {
    if (findings.length < maximumFindings) findings.push({ number, what });
  };
  const checkpoints = new Map<number, Checkpoint[]>();
  for (const checkpoint of [...(await storedCheckpoints(connection)), ...elsewhere]) {
    const signed = keys.some((key) => isSignedBy(checkpoint, key));
    if (signed) checkpoints.set(checkpoint.number, [...(checkpoints.get(checkpoint.number) ?? []), checkpoint]);
    else if (keys.length > 0) find(checkpoint.number, 'a checkpoint is not signed by a key that was given');
  }
  let entries = 0;
  let expected = 1;
  let previous = beginning;
  let signedUpTo = 0;
  let whole = true;
  for await (const row of storedEntries(connection)) {
    entries++;
    const before = findings.length;
    checkEntry(row, expected, previous, find);
    if (findings.length > before) whole = false;
    for (const checkpoint of checkpoints.get(row.number) ?? []) {
      if (checkpoint.hash !== row.hash) {
        find(row.number, `the checkpoint of ${checkpoint.at} has another hash: the log was written anew`);
        whole = false;
      } else if (whole) signedUpTo = row.number;
    }
    checkpoints.delete(row.number);
    expected = row.number + 1;
    previous = row.hash;
  }
  for (const [number, [checkpoint]] of [...checkpoints].sort(([a], [b]) => a - b)) {
    find(number, `the checkpoint of ${checkpoint?.at} vouches for an entry that is not there: the log was cut`);
  }
  return { entries, hash: previous, signedUpTo, findings: findings.toSorted((a, b) => a.number - b.number) };
}

function checkEntry(
  row: StoredEntry,
  expected: number,
  previous: string,
  find: (number: number, what: string) => void,
): void {
  const { number, body, hash } = row;
  if (number !== expected) find(number, missing(expected, number));
  if (row.previous !== previous)
    find(number, 'the hash before is not that of the entry before: one was put in, taken out or moved');
  if (hashOf(row.previous, body) !== hash) find(number, 'its text is not what was hashed: it was edited');
  let read: ReturnType<typeof readBody>;
  try {
    read = readBody(body);
  } catch {
    find(number, 'its text is not in its form');
    return;
  }
  const { at, event } = read;
  const beside = [row.number, row.at.toISOString(), row.who, row.action, row.subject];
  const said = [read.number, at, event.who, event.action, event.subject];
  if (beside.some((value, index) => value !== said[index]))
    find(number, 'its columns do not say what its text says: they were edited');
}

function missing(expected: number, number: number): string {
  return number > expected
    ? `entries ${expected}${number - 1 > expected ? ` to ${number - 1}` : ''} are missing`
    : `entry ${expected} was expected here`;
}
