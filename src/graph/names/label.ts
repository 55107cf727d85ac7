import { nearest } from '../../fault/index.ts';
import { GraphFault } from '../fault.ts';
import type { Label, Target } from '../types.ts';

/** What a person types to name targets: `//...`, `//a/...`, `//a:all`, `//a:b`, `:b`. */
export type LabelPattern =
  | { readonly kind: 'target'; readonly label: Label }
  | { readonly kind: 'package'; readonly package: string }
  | { readonly kind: 'below'; readonly package: string };

/**
 * Names become paths, words of a shell command and parts of an image reference: no spaces, quotes, backslashes,
 * dollars or control characters, and no `:` and `|`, which labels themselves use.
 */
const namePattern = /^[\p{L}\p{N}_.+=,@~#^!%()-]+$/u;
/** Folders may have more, as in Please: spaces and quotes. */
const packagePattern = /^[^|$*?[\]{}:&\\/\p{Cc}\p{Zl}\p{Zp}]+$/u;
const maximumLength = 1000;

/** Whether a text is written as a label; anything else among sources is a file. */
export function looksLikeLabel(text: string): boolean {
  return /^(?::|\/\/)/.test(text) || (text.startsWith('@') && (text.includes(':') || text.includes('//')));
}

/** Where a label is written: what `:x`, `//x` and `@x//y` mean there. */
export interface LabelScope {
  /** Path of the package from the workspace's root; '' for the root. */
  readonly package: string;
  /** Folder of the repository that the package belongs to: '' for the workspace itself, else that of a subrepo. */
  readonly root: string;
  /**
   * Folder of a subrepo by its name.
   *
   * @param text the label in which it stands
   * @throws GraphFault where there is none
   */
  folderOf(subrepo: string, text: string): string;
  /** How the targets of a subrepo are named that are made in the package that declares it; undefined where they are not. */
  besideOf?(subrepo: string): true | string | undefined;
}

/** A package of the workspace as a scope, where no evaluation tells the subrepos: of them only those that are built have labels. */
export function plainScope(packageName: string): LabelScope {
  const built = builtPartOf(packageName);
  return {
    package: packageName,
    root: built === undefined ? '' : builtFolderOf(built.subrepo),
    folderOf: (subrepo, text) => {
      if (/^\/\/\/[^:]+\/\//.test(text)) return builtFolderOf(subrepo);
      throw new GraphFault('graph/bad-label', `the subrepo ${subrepo} is not known here`, {
        next: 'write the label of a target in this workspace: //package:name',
      });
    },
  };
}

/** Ends the name of the folder that stands for a subrepo whose files are built: its packages have a path, as all others do. */
const builtMark = '@';

/** The folder, nowhere in the workspace, that stands for a subrepo whose files are built. */
export function builtFolderOf(subrepo: string): string {
  return subrepo + builtMark;
}

/** The subrepo whose files are built that a path lies in, the innermost of several; undefined where it lies in none. */
export function builtPartOf(path: string): { readonly subrepo: string; readonly below: string } | undefined {
  if (!path.includes(builtMark)) return undefined;
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    if (path[end - 1] !== builtMark) continue;
    const subrepo = path.slice(0, end - 1);
    // No label can name these.
    if (!/(?:^|\/)\.{0,2}$/.test(subrepo)) return { subrepo, below: path.slice(end + 1) };
  }
  return undefined;
}

/** A package as the beginning of the labels in it: `//a/b`, `///subrepo//a/b`. */
export function packageLabel(packageName: string): `//${string}` {
  const built = builtPartOf(packageName);
  return built === undefined ? `//${packageName}` : `///${built.subrepo}//${built.below}`;
}

/**
 * Full form of a label: `//a/b` is `//a/b:b`, `:x` is in the current package, `@x//a:b` (or `///x//a:b`) in a subrepo. Where the
 * subrepo is a folder of the workspace its packages count from the workspace's root as all others do; where its files are built the
 * full form is `///x//a:b`.
 *
 * @param scope where it is written; a package of the workspace, '' for the root
 * @throws GraphFault graph/bad-label
 */
export function parseLabel(text: string, scope: string | LabelScope = ''): Label {
  const parts = split(text, typeof scope === 'string' ? plainScope(scope) : scope);
  if (parts.name === undefined) {
    if (parts.package === '')
      throw bad(text, 'the root package has no name that a target could share', 'write //:name');
    const name = parts.package.slice(parts.package.lastIndexOf('/') + 1);
    checkName(text, name);
    return labelOf(parts.package, name);
  }
  return labelOf(parts.package, parts.name);
}

/**
 * What a pattern selects. A label is a pattern too.
 *
 * @throws GraphFault graph/bad-label
 */
export function parsePattern(text: string, from: string | LabelScope = ''): LabelPattern {
  const scope = typeof from === 'string' ? plainScope(from) : from;
  if (text === '...') return { kind: 'below', package: scope.package };
  if (text.endsWith('/...') && (text.startsWith('//') || text.startsWith('@'))) {
    // `//...` and `@x//...` end in the two slashes of the root; the others in a folder.
    const root = text.endsWith('//...');
    const { package: folder } = split(root ? `${text.slice(0, -3)}:all` : `${text.slice(0, -4)}:all`, scope);
    return { kind: 'below', package: folder };
  }
  if (text.endsWith(':all')) return { kind: 'package', package: split(text, scope).package };
  return { kind: 'target', label: parseLabel(text, scope) };
}

/** The pattern as a person would type it from anywhere. */
export function formatPattern(pattern: LabelPattern): string {
  if (pattern.kind === 'target') return pattern.label;
  const folder = packageLabel(pattern.package);
  if (pattern.kind === 'package') return `${folder}:all`;
  return folder.endsWith('/') ? `${folder}...` : `${folder}/...`;
}

export function splitLabel(label: Label): { package: string; name: string } {
  const colon = label.lastIndexOf(':');
  const name = label.slice(colon + 1);
  // A slash behind the first two: a subrepo whose files are built.
  if (label.charCodeAt(2) !== 47) return { package: label.slice(2, colon), name };
  const end = label.indexOf('//', 3);
  const folder = builtFolderOf(label.slice(3, end));
  return { package: end + 2 === colon ? folder : `${folder}/${label.slice(end + 2, colon)}`, name };
}

export function labelOf(packageName: string, name: string): Label {
  return `${packageLabel(packageName)}:${name}`;
}

export function patternMatches(pattern: LabelPattern, label: Label): boolean {
  if (pattern.kind === 'target') return pattern.label === label;
  return patternCoversPackage(pattern, splitLabel(label).package);
}

export function patternCoversPackage(pattern: LabelPattern, packageName: string): boolean {
  switch (pattern.kind) {
    case 'target':
      return splitLabel(pattern.label).package === packageName;
    case 'package':
      return pattern.package === packageName;
    case 'below':
      return pattern.package === '' || packageName === pattern.package || packageName.startsWith(`${pattern.package}/`);
  }
}

/** Whether a target's visibility lets another depend on it. A package always sees itself. */
export function isTargetVisible(owner: Target, dependant: Label): boolean {
  if (owner.visibility.includes('PUBLIC') || splitLabel(dependant).package === owner.package) return true;
  // Internal parts of a rule, `_x#tag`, may see what the rule's own target may.
  const { package: packageName, name } = splitLabel(dependant);
  const [, whole] = /^_(.+)#/.exec(name) ?? [];
  const seekers = whole === undefined ? [dependant] : [dependant, labelOf(packageName, whole)];
  return owner.visibility.some((each) => {
    const pattern = parsePattern(each);
    return seekers.some((seeker) => patternMatches(pattern, seeker));
  });
}

/** @throws GraphFault graph/bad-label where a target or package can't have this name */
export function checkTargetName(name: string): void {
  if (name === 'all' || name === '...')
    throw bad(name, 'it stands for every target of a package', 'choose another name');
  checkName(name, name);
}

function split(text: string, scope: LabelScope): { package: string; name: string | undefined } {
  if (text.length > maximumLength) throw bad(`${text.slice(0, 60)}...`, 'it is too long');
  if (text.startsWith('@') || text.startsWith('///')) return splitInSubrepo(text, scope);
  if (text.startsWith(':')) {
    checkName(text, text.slice(1));
    return { package: scope.package, name: text.slice(1) };
  }
  if (!text.startsWith('//')) {
    const next = /^[\w./-]+(:[\w.-]+)?$/.test(text)
      ? `write //${text.replace(/^\.?\/+/, '')}, or :name for one in this package`
      : undefined;
    throw bad(text, 'a label begins with // or with :', next);
  }
  return splitBelow(text, text.slice(2), scope.root);
}

/** `package:name` behind the slashes, in the repository that a folder holds. */
function splitBelow(text: string, rest: string, root: string): { package: string; name: string | undefined } {
  const colon = rest.indexOf(':');
  const packageName = rest.slice(0, colon === -1 ? undefined : colon);
  checkPackage(text, packageName);
  const full = root === '' || packageName === '' ? root + packageName : `${root}/${packageName}`;
  if (colon === -1) {
    // `//` alone names nothing, even where the repository's folder has a name.
    return { package: packageName === '' ? '' : full, name: undefined };
  }
  checkName(text, rest.slice(colon + 1));
  return { package: full, name: rest.slice(colon + 1) };
}

/** `@x//a:b`, `///x//a:b`; `@x` for `@x//:x`; `@//a:b` for the workspace itself. */
function splitInSubrepo(text: string, scope: LabelScope): { package: string; name: string | undefined } {
  // `///x:b` is `b` of the package of this path there.
  const here = /^\/\/\/([^:]+?):([^:]+)$/s.exec(text);
  if (here !== null && !here[1]!.includes('//')) {
    const own = scope.root === '' ? scope.package : scope.package.slice(scope.root.length + 1);
    return splitInSubrepo(`///${here[1]}//${own}:${here[2]}`, scope);
  }
  const [, name, rest] = /^(?:@|\/\/\/)([^:]*?)(?:\/\/(.*))?$/s.exec(text) ?? [];
  if (name === undefined || (name === '' && (rest === undefined || text.startsWith('///')))) {
    throw bad(text, 'it names no subrepo', 'write @subrepo//package:name');
  }
  if (name === '') return splitBelow(text, rest!, '');
  checkPackage(text, name);
  const beside = scope.besideOf?.(name);
  if (beside !== undefined) {
    const below = splitBelow(text, rest ?? '', '');
    const repository = name.slice(name.lastIndexOf('/') + 1);
    const own = beside === true ? besideName(repository, below.package, below.name) : beside;
    return { package: name.includes('/') ? name.slice(0, name.lastIndexOf('/')) : '', name: own };
  }
  const root = scope.folderOf(name, text);
  if (rest !== undefined) return splitBelow(text, rest, root);
  return { package: root, name: name.slice(name.lastIndexOf('/') + 1) };
}

/**
 * Name of the target that stands for `//folder:name` of a subrepo whose targets are made beside it: `repository~a~b` for the package
 * `a/b`, `repository~.` for the root.
 *
 * @param name of the target there; undefined, or the last part of the folder, for the package's own
 */
export function besideName(repository: string, folder: string, name?: string): string {
  const last = folder.slice(folder.lastIndexOf('/') + 1);
  const own = folder === '' ? name !== undefined && `_${repository}`.endsWith(`_${name}`) : name === last;
  const stem = `${repository}~${folder === '' ? '.' : folder.replaceAll('/', '~')}`;
  // Where its last part would stand for all targets of a package, Please's rules name it otherwise.
  const plain = name === undefined || own || (last === 'all' && name === 'lib');
  return plain ? stem : `${stem}=${name}`;
}

function checkPackage(text: string, packageName: string): void {
  if (packageName === '') return;
  for (const part of packageName.split('/')) {
    if (part === '')
      throw bad(text, 'its package has an empty part', 'write one / between two folders and none at the end');
    if (part === '.' || part === '..')
      throw bad(text, `its package has the part ${part}`, 'name packages from the root of the workspace');
    if (part.includes('...')) throw bad(text, '... stands at the end of a pattern only', 'write //folder/...');
    if (!packagePattern.test(part)) throw bad(text, `${JSON.stringify(part)} can't be part of a package's name`);
  }
}

/**
 * @param file its BUILD file
 * @throws GraphFault graph/bad-label where no label could name what is in a folder
 */
export function checkPackageName(name: string, file: string): void {
  const part =
    name === '' ? undefined : name.split('/').find((each) => !packagePattern.test(each) || each.includes('...'));
  if (part === undefined) return;
  throw new GraphFault(
    'graph/bad-label',
    `a folder named ${JSON.stringify(part)} can't hold targets: no label names it`,
    {
      place: { file },
      next: 'rename the folder, or take its BUILD file out: : * ? | & $ \\ [ ] { } and line breaks have meanings in labels and patterns',
    },
  );
}

function checkName(text: string, name: string): void {
  if (name === '') throw bad(text, 'it has no name behind the colon', 'write //package:name');
  if (name === '.' || name === '..' || !namePattern.test(name)) {
    throw bad(
      text,
      `${JSON.stringify(name)} can't be the name of a target`,
      'use letters, digits and _ . + = , @ ~ # -',
    );
  }
}

function bad(text: string, why: string, next?: string): GraphFault {
  return new GraphFault('graph/bad-label', `${JSON.stringify(text)} is no label: ${why}`, { next });
}

/** The label that a misspelt one most likely meant: a near name in the same package, or the same name in a near package. */
export function nearestLabel(label: Label, targets: ReadonlyMap<Label, unknown>): Label | undefined {
  const wanted = splitLabel(label);
  const names: string[] = [];
  const packages = new Set<string>();
  for (const each of targets.keys()) {
    const { package: packageName, name } = splitLabel(each);
    if (packageName === wanted.package) names.push(name);
    packages.add(packageName);
  }
  const name = nearest(wanted.name, names);
  if (name !== undefined) return labelOf(wanted.package, name);
  if (names.length > 0) return undefined;
  const packageName = nearest(wanted.package, packages);
  if (packageName === undefined) return undefined;
  const moved = labelOf(packageName, wanted.name);
  if (targets.has(moved)) return moved;
  // //a/b is short for //a/b:b, so the misspelt folder's name stands twice.
  const own = labelOf(packageName, packageName.slice(packageName.lastIndexOf('/') + 1));
  return targets.has(own) ? own : undefined;
}
