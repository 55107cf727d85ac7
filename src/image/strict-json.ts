/** Levels of objects and lists that a manifest may have; real ones have five. */
const maximumDepth = 32;

/**
 * JSON that every reader understands alike: valid UTF-8 without a byte order mark, no key twice in an object (readers
 * differ in which they take), not deeper than any reader goes. RFC 8259, 4 and 8; RFC 7493.
 *
 * @throws SyntaxError with a reason that continues "the document ..."
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new SyntaxError('is not UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new SyntaxError('is not JSON');
  }
  checkKeys(text);
  return value;
}

/** One walk over text that is known to be JSON. */
function checkKeys(text: string): void {
  /** The keys of each open object; undefined for a list. */
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = endOfString(text, at);
        if (expectsKey) {
          const raw = text.slice(at, end + 1);
          const key = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
          const keys = open.at(-1)!;
          if (keys.has(key)) throw new SyntaxError(`has the key ${JSON.stringify(key.slice(0, 100))} twice`);
          keys.add(key);
          expectsKey = false;
        }
        at = end;
        break;
      }
      case 0x7b: // {
        open.push(new Set());
        expectsKey = true;
        break;
      case 0x5b: // [
        open.push(undefined);
        expectsKey = false;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        open.pop();
        expectsKey = false;
        break;
      case 0x2c: // ,
        expectsKey = open.at(-1) !== undefined;
        break;
    }
    if (open.length > maximumDepth) throw new SyntaxError(`is deeper than ${maximumDepth} levels`);
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at += 1;
    else if (code === 0x22) return at;
  }
}
