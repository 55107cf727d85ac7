/** An element of an XML document: what a test report needs, not all of XML. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Text of the element itself, CDATA included. */
  readonly text: string;
}

/** Reports nest four levels; what nests deeper than this was not made by a test runner. */
const maximumDepth = 100;

/**
 * Parses a document without a DTD: entities other than the five of XML and character references are left as they are,
 * so that no document can grow by them.
 *
 * @throws Error with the offset, where it is not well formed
 */
export function parseXml(text: string): XmlElement {
  interface Open {
    name: string;
    attributes: Record<string, string>;
    children: XmlElement[];
    text: string;
  }
  const stack: Open[] = [];
  let root: XmlElement | undefined;
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  const bad = (what: string): Error => new Error(`${what} at offset ${at}`);
  const skipTo = (end: string): string => {
    const found = text.indexOf(end, at);
    if (found < 0) throw bad(`no ${end}`);
    const between = text.slice(at, found);
    at = found + end.length;
    return between;
  };
  const close = (open: Open) => {
    const above = stack.at(-1);
    if (above !== undefined) above.children.push(open);
    else root = open;
  };
  const tag = /([A-Za-z_:][\w:.-]*)((?:\s+[A-Za-z_:][\w:.-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y;
  while (at < text.length) {
    const top = stack.at(-1);
    if (text.startsWith('<![CDATA[', at)) {
      at += 9;
      const content = skipTo(']]>');
      if (top === undefined) throw bad('text outside of the root element');
      top.text += content;
    } else if (text.startsWith('<!--', at)) {
      at += 4;
      skipTo('-->');
    } else if (text.startsWith('<?', at)) {
      at += 2;
      skipTo('?>');
    } else if (text.startsWith('</', at)) {
      at += 2;
      const name = skipTo('>').trim();
      const open = stack.pop();
      if (open?.name !== name) throw bad(`</${name}> where ${open === undefined ? 'nothing' : open.name} is open`);
      close(open);
    } else if (text[at] === '<') {
      at++;
      tag.lastIndex = at;
      const found = tag.exec(text);
      if (found === null) throw bad('a tag that is not well formed');
      if (root !== undefined) throw bad('a second root element');
      if (stack.length >= maximumDepth) throw bad('elements nested too deep');
      at = tag.lastIndex;
      const open: Open = { name: found[1]!, attributes: parseAttributes(found[2]!), children: [], text: '' };
      if (found[3] === '/') close(open);
      else stack.push(open);
    } else {
      const next = text.indexOf('<', at);
      const piece = text.slice(at, next < 0 ? text.length : next);
      if (top !== undefined) top.text += unescapeXml(piece);
      else if (piece.trim() !== '') throw bad('text outside of the root element');
      at += piece.length;
    }
  }
  if (stack.length > 0) throw bad(`<${stack.at(-1)?.name}> is not closed`);
  if (root === undefined) throw bad('no element');
  return root;
}

function parseAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [, name, quoted] of text.matchAll(/([\w:.-]+)\s*=\s*("[^"]*"|'[^']*')/g)) {
    attributes[name!] = unescapeXml(quoted!.slice(1, -1));
  }
  return attributes;
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]+|#\d+|\w+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return entities[name] ?? whole;
    const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** For element content and attributes. Characters that XML 1.0 can't hold become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .replace(
      /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
      '\ufffd',
    )
    .replace(/[&<>"\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
