import { loadBuildFunctions } from '../graph/index.ts';
import {
  type ast,
  coreFunctions,
  dictMethods,
  type NativeFunction,
  parseSource,
  stringMethods,
} from '../language/index.ts';
import { ruleFiles } from './index.ts';

const buildFunctions = await loadBuildFunctions();

/**
 * The reference of everything that BUILD files can call, as Markdown: from the definitions themselves, so that it says what
 * is. `docs/language.md` is kept as this gives it.
 */
export function languageReference(): string {
  const graphNames = new Set(buildFunctions.map(({ name }) => name));
  const core = coreFunctions.filter(({ name }) => !graphNames.has(name));
  return `${[
    introduction,
    '## Rules',
    ...ruleFiles().flatMap(({ path, source }) => ruleSection(path, source)),
    '## Functions of packages and targets',
    ...byName(buildFunctions).map(nativeEntry),
    '## Functions of the language',
    ...byName(core).map(nativeEntry),
    '## Methods of str',
    ...byName([...stringMethods.values()]).map((each) => nativeEntry(each, 'str')),
    '## Methods of dict',
    ...byName([...dictMethods.values()]).map((each) => nativeEntry(each, 'dict')),
  ].join('\n\n')}\n`;
}

const introduction = `<!-- Made by script/language-reference from the definitions in src/rules, src/graph and src/language. -->

# The BUILD language

BUILD files are written in the dialect of Python that Please 17 has. A file is run from top to bottom, once, and makes targets by
calling rules. It reads no clock, no environment and nothing random: the same files give the same targets.

- **Statements**: \`def\`, \`for\`, \`if\`/\`elif\`/\`else\`, \`return\`, \`assert\`, \`pass\`, \`continue\`, \`break\`, assignments to names, to several
  names and to items, \`+=\`. There is no \`while\`, \`class\`, \`import\` or \`try\`.
- **Parameters** have types (\`str|list\`), defaults and other names: \`def f(name:str, labels:list&tags=[])\`. None stands for the default.
- **Expressions**: str, int, bool, list, dict and functions; \`f"{name}"\` and \`r"..."\`; comprehensions with one or two \`for\`; \`lambda\`;
  \`a if test else b\`; slices; \`+ - * / // % | < <= == != >= > and or not in is\`. Comparisons aren't chained. Keys of a dict are
  strings, and \`keys()\`, \`values()\` and \`items()\` come in their order. Numbers are whole, of 53 bits; \`/\` and \`%\` round towards 0 and \`//\`
  downwards. \`is\` is for None, True and False. A tuple is a list, and \`(x,)\` is \`x\`. A range is a list.
- **Strings**: of escapes only \`\\n\`, \`\\t\`, \`\\\\\`, \`\\"\`, \`\\'\` and a line end in a string of three quotes are resolved; others stay as they are, for the
  shell's sake. \`%\` knows \`%s %d %5d %-5s %05d %q %x %o %b %c %t %%\`. \`{x.y}\` in f-strings is a name and its items; \`\${X}\` stays; \`{{\` is a brace.
- **Values** that a file gives to others are frozen. \`CONFIG\` holds the workspace's configuration: \`CONFIG.GO.IMPORT_PATH\`.
- **Labels**: \`//package:name\`, \`:name\` in the same package, \`//a/b\` for \`//a/b:b\`, \`@subrepo//package:name\` (or \`///subrepo//...\`), and
  \`//a:b|outs\` for the outputs of one name.
- **Limits** on nesting, calls, steps, sizes and memory are errors, so that no file hangs or fills the machine.

\`log.debug\`, \`log.info\`, \`log.notice\`, \`log.warning\`, \`log.error\` and \`log.fatal\` take a message and values for its \`%s\`; from \`notice\` on they
are shown, and \`fatal\` ends the evaluation.`;

function byName(functions: readonly NativeFunction[]): readonly NativeFunction[] {
  return functions.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function ruleSection(path: string, source: string): string[] {
  const { statements } = parseSource({ file: path, text: source, internal: true });
  const [first] = statements;
  const heading =
    first?.type === 'expression' && first.expression.type === 'constant' ? String(first.expression.value).trim() : '';
  const definitions = statements.filter(
    (each): each is ast.FunctionDefinition => each.type === 'def' && !each.name.startsWith('_'),
  );
  const title = path.slice(path.lastIndexOf('/') + 1).replace('.build_defs', '');
  return [`### ${title}`, ...(heading === '' ? [] : [heading]), ...definitions.map((each) => ruleEntry(each, source))];
}

function ruleEntry(definition: ast.FunctionDefinition, source: string): string {
  const parameters = definition.parameters.map(({ name, types, aliases, fallback }) => {
    const type = types.length === 0 ? '' : `: ${types.join('|')}`;
    const also = aliases.map((alias) => ` & ${alias}`).join('');
    const value = fallback === undefined ? '' : ` = ${source.slice(fallback.start, fallback.end)}`;
    return `${name}${type}${also}${value}`;
  });
  const [text = '', args = ''] = (definition.documentation ?? '').split(/^ *Args:\n/m);
  return [
    `#### ${definition.name}`,
    signature(definition.name, parameters),
    plain(text),
    ...(args.trim() === '' ? [] : [argumentList(args)]),
  ].join('\n\n');
}

function nativeEntry(native: NativeFunction, self?: unknown): string {
  const shown = typeof self === 'string' ? native.parameters.slice(1) : native.parameters;
  const skipped = native.parameters.length - shown.length;
  const parameters = shown.map(({ name, types, aliases, optional }, index) => {
    const fallback = native.fallbacks[index + skipped];
    const type = types.length === 0 ? '' : `: ${types.join('|')}`;
    const also = aliases.map((alias) => ` & ${alias}`).join('');
    const value = !optional ? '' : typeof fallback === 'function' ? ' = ...' : ` = ${written(fallback)}`;
    return `${name}${type}${also}${value}`;
  });
  if (native.rest) parameters.push('...');
  if (native.extra) parameters.push('name = ...');
  const name = typeof self === 'string' ? `${self}.${native.name}` : native.name;
  return [`### ${name}`, signature(name, parameters), native.documentation].join('\n\n');
}

function written(fallback: unknown): string {
  if (fallback === null) return 'None';
  if (typeof fallback === 'boolean') return fallback ? 'True' : 'False';
  return typeof fallback === 'number' ? String(fallback) : JSON.stringify(fallback);
}

/** In one line where it fits, else one line for each parameter. */
function signature(name: string, parameters: readonly string[]): string {
  const line = `${name}(${parameters.join(', ')})`;
  const text = line.length <= 110 ? line : `${name}(\n${parameters.map((each) => `    ${each},\n`).join('')})`;
  return `\`\`\`python\n${text}\n\`\`\``;
}

function plain(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .trim();
}

/** `name (type): words`, going on in lines that are indented further. */
function argumentList(text: string): string {
  const entries: string[] = [];
  for (const line of text.split('\n')) {
    const entry = /^ *(\w+) \(([^)]*)\): (.*)$/.exec(line);
    if (entry !== null) entries.push(`- \`${entry[1]}\`: ${entry[3]}`);
    else if (line.trim() !== '') entries.push(`${entries.pop() ?? ''} ${line.trim()}`);
  }
  return entries.join('\n');
}
