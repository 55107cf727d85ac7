import { nearest } from '../fault/index.ts';
import { GraphFault } from './fault.ts';
import type { Label, Target } from './types.ts';

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
const maximumLength = 1000;

/** Whether a text is written as a label; anything else among sources is a file. */
export function looksLikeLabel(text: string): boolean {
  return text.startsWith(':') || text.startsWith('//') || text.startsWith('@');
}

/**
 * Full form of a label: `//a/b` is `//a/b:b`, `:x` is in the current package.
 *
 * @param currentPackage '' for the root
 * @throws GraphFault graph/bad-label
 */
export function parseLabel(text: string, currentPackage = ''): Label {
  const parts = split(text, currentPackage);
  if (parts.name === undefined) {
    if (parts.package === '')
      throw bad(text, 'the root package has no name that a target could share', 'write //:name');
    return labelOf(parts.package, parts.package.slice(parts.package.lastIndexOf('/') + 1));
  }
  return labelOf(parts.package, parts.name);
}

/**
 * What a pattern selects. A label is a pattern too.
 *
 * @throws GraphFault graph/bad-label
 */
export function parsePattern(text: string, currentPackage = ''): LabelPattern {
  if (text === '//...' || text === '...') {
    return { kind: 'below', package: text === '...' ? currentPackage : '' };
  }
  if (text.startsWith('//') && text.endsWith('/...')) {
    const folder = text.slice(2, -4);
    checkPackage(text, folder);
    return { kind: 'below', package: folder };
  }
  if (text.endsWith(':all')) return { kind: 'package', package: split(text, currentPackage).package };
  return { kind: 'target', label: parseLabel(text, currentPackage) };
}

/** The pattern as a person would type it from anywhere. */
export function formatPattern(pattern: LabelPattern): string {
  if (pattern.kind === 'target') return pattern.label;
  if (pattern.kind === 'package') return `//${pattern.package}:all`;
  return pattern.package === '' ? '//...' : `//${pattern.package}/...`;
}

export function splitLabel(label: Label): { package: string; name: string } {
  const colon = label.lastIndexOf(':');
  return { package: label.slice(2, colon), name: label.slice(colon + 1) };
}

export function labelOf(packageName: string, name: string): Label {
  return `//${packageName}:${name}`;
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
  const from = splitLabel(dependant).package;
  if (from === owner.package) return true;
  return owner.visibility.some((each) => each === 'PUBLIC' || patternMatches(parsePattern(each), dependant));
}

/** @throws GraphFault graph/bad-label where a target or package can't have this name */
export function checkTargetName(name: string): void {
  if (name === 'all' || name === '...')
    throw bad(name, 'it stands for every target of a package', 'choose another name');
  checkName(name, name);
}

function split(text: string, currentPackage: string): { package: string; name: string | undefined } {
  if (text.length > maximumLength) throw bad(`${text.slice(0, 60)}...`, 'it is too long');
  if (text.startsWith('@') || text.startsWith('///')) {
    throw bad(
      text,
      'labels of other repositories are not known here',
      'write the label of a target in this workspace: //package:name',
    );
  }
  if (text.startsWith(':')) {
    checkName(text, text.slice(1));
    return { package: currentPackage, name: text.slice(1) };
  }
  if (!text.startsWith('//')) {
    const next = /^[\w./-]+(:[\w.-]+)?$/.test(text)
      ? `write //${text.replace(/^\.?\/+/, '')}, or :name for one in this package`
      : undefined;
    throw bad(text, 'a label begins with // or with :', next);
  }
  const colon = text.indexOf(':');
  const packageName = text.slice(2, colon === -1 ? undefined : colon);
  checkPackage(text, packageName);
  if (colon === -1) return { package: packageName, name: undefined };
  checkName(text, text.slice(colon + 1));
  return { package: packageName, name: text.slice(colon + 1) };
}

function checkPackage(text: string, packageName: string): void {
  if (packageName === '') return;
  for (const part of packageName.split('/')) {
    if (part === '')
      throw bad(text, 'its package has an empty part', 'write one / between two folders and none at the end');
    if (part === '.' || part === '..')
      throw bad(text, `its package has the part ${part}`, 'name packages from the root of the workspace');
    if (part.includes('...')) throw bad(text, '... stands at the end of a pattern only', 'write //folder/...');
    if (!namePattern.test(part)) throw bad(text, `${JSON.stringify(part)} can't be part of a package's name`);
  }
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
