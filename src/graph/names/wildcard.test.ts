import { describe, expect, it } from 'vitest';
import { matchGlob, matchName, matchPath } from './wildcard.ts';

describe('matchName', () => {
  it.each<[string, string, boolean]>([
    ['*.go', 'main.go', true],
    ['*.go', 'main.gob', false],
    ['*', '', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['?.txt', 'a.txt', true],
    ['?.txt', '.txt', false],
    ['[a-c]x', 'bx', true],
    ['[!a-c]x', 'bx', false],
    ['[]]x', ']x', true],
    ['[a', '[a', true],
    [String.raw`\*`, '*', true],
    [String.raw`\*`, 'a', false],
  ])('%s against %s', (pattern, name, fits) => expect(matchName(pattern, name)).toBe(fits));

  it('takes no longer for a pattern that makes regular expressions explode', () => {
    const start = performance.now();
    expect(matchName(`${'*a'.repeat(40)}b`, 'a'.repeat(255))).toBe(false);
    expect(matchPath([...Array(40).fill('**'), ...Array(20).fill('a'), 'b'], Array(255).fill('a'))).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

describe('matchPath', () => {
  it.each<[string, string, boolean]>([
    ['**/*.go', 'main.go', true],
    ['**/*.go', 'a/b/main.go', true],
    ['a/**/b', 'a/b', true],
    ['a/**/b', 'a/x/y/b', true],
    ['a/**', 'a/x/y', true],
    ['*', 'a/b', false],
    ['a/*', 'a/b', true],
  ])('%s against %s', (pattern, path, fits) => expect(matchPath(pattern.split('/'), path.split('/'))).toBe(fits));
});

describe('matchGlob', () => {
  it.each<[string, string, boolean]>([
    ['**.java', 'A.java', true],
    ['**.java', 'a/b/A.java', true],
    ['a/**.java', 'b/A.java', false],
    ['a/**.java', 'a/b/A.java', true],
    ['s**t', 'sub/deep/x.txt', true],
    ['s**t', 'sub/deep/x.go', false],
    ['**/x**[a-c]?', 'p/q/xyz/1/b2', true],
    ['**/x**[a-c]?', 'xa1', true],
    ['**/x**[a-c]?', 'p/y/a1', false],
    ['a/**/b**/c', 'a/b/c', true],
    ['a/**/b**/c', 'a/x/b1/2/c', true],
    ['a/*b**', 'a/x/b', false],
    ['**/*.go', 'a/main.go', true],
  ])('%s against %s', (pattern, path, fits) => expect(matchGlob(pattern.split('/'), path.split('/'))).toBe(fits));

  it('takes no longer for patterns that make regular expressions explode', () => {
    const start = performance.now();
    expect(matchGlob([`${'**a'.repeat(40)}b`], ['a'.repeat(255)])).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
