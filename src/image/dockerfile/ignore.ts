import { posix } from 'node:path';
import { compileGlob, compileIgnorePattern, type PathPattern } from './glob.ts';

interface Rule {
  readonly fits: PathPattern;
  /** `!`: what fits is taken after all. */
  readonly exception: boolean;
}

/** Paths that fit a list of patterns, the last one that fits deciding. */
export interface PathFilter {
  /** @param path relative, with slashes. A path whose parent fits a pattern fits it. */
  fits(path: string): boolean;
}

/** What is wrong with a pattern, and which. */
export class PatternProblem extends Error {
  readonly pattern: string;
  /** Index in the list. */
  readonly index: number;

  constructor(pattern: string, index: number) {
    super(`${JSON.stringify(pattern)} is not a pattern`);
    this.pattern = pattern;
    this.index = index;
  }
}

/**
 * Patterns as .dockerignore files and `--exclude` have them.
 *
 * @throws PatternProblem
 */
export function compilePatterns(patterns: readonly string[]): PathFilter {
  const rules: Rule[] = [];
  for (const [index, written] of patterns.entries()) {
    const trimmed = written.trim();
    if (trimmed === '') continue;
    const exception = trimmed.startsWith('!');
    const pattern = exception ? trimmed.slice(1) : cleaned(trimmed);
    // Whether a pattern is one is decided as for a path, which `**` is too.
    const fits = compileGlob(pattern) && compileIgnorePattern(pattern);
    if (pattern === '' || fits === undefined) throw new PatternProblem(written, index);
    rules.push({ fits, exception });
  }
  return {
    fits(path) {
      const parts = path.split('/');
      const parents = parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
      let matched = false;
      for (const { fits, exception } of rules) {
        if (exception !== matched) continue;
        if (fits(path) || parents.some((parent) => fits(parent))) matched = !exception;
      }
      return matched;
    },
  };
}

/** The patterns of a .dockerignore file, each with its line (1-based). */
export function readIgnoreFile(text: string): { readonly pattern: string; readonly line: number }[] {
  const lines = text.replace(/^\ufeff/, '').split('\n');
  return lines.flatMap((written, index) => {
    if (written.startsWith('#')) return [];
    const trimmed = written.trim();
    if (trimmed === '') return [];
    const exception = trimmed.startsWith('!');
    const rest = exception ? trimmed.slice(1).trim() : trimmed;
    const path = rest === '' ? '' : cleaned(rest).replace(/^\/(?=.)/, '');
    return [{ pattern: exception ? `!${path}` : path, line: index + 1 }];
  });
}

/** Go's filepath.Clean. */
function cleaned(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 ? normal.replace(/\/+$/, '') : normal;
}
