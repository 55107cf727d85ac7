import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes after which buffers that have passed are given back. */
const between = 4 * 1024 * 1024;

let passed = 0;
let collect: ((options: { type: 'minor' }) => void) | undefined;

/**
 * To be told of bytes that stream through. Their buffers lie outside of V8's heap, which holds only a few words for each: it
 * sees little reason to collect them, and a layer of a gigabyte would leave a hundred megabytes of them behind before it
 * does. A collection of the young is a millisecond, and makes the memory of a copy the same for any size.
 */
export function tellPassed(bytes: number): void {
  passed += bytes;
  if (passed < between) return;
  passed = 0;
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as typeof collect;
    setFlagsFromString('--no-expose-gc');
  }
  collect?.({ type: 'minor' });
}
