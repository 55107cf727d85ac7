import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GraphFault } from '../fault.ts';
import type { Target } from '../types.ts';
import {
  formatPattern,
  isTargetVisible,
  labelOf,
  parseLabel,
  parsePattern,
  patternMatches,
  splitLabel,
} from './label.ts';

describe('parseLabel', () => {
  it.each([
    ['//a/b:c', '', '//a/b:c'],
    ['//a/b', '', '//a/b:b'],
    ['//a', 'x', '//a:a'],
    [':c', 'a/b', '//a/b:c'],
    [':c', '', '//:c'],
    ['//:c', 'a', '//:c'],
    ['//third_party/debian:libstdc++6', '', '//third_party/debian:libstdc++6'],
    ['//a:_b#lib', '', '//a:_b#lib'],
  ])('%s in package %j is %s', (text, from, label) => expect(parseLabel(text, from)).toBe(label));

  it.each([
    '',
    '//',
    '///a',
    '@x//a:b',
    'a:b',
    '//a//b',
    '//a/',
    '//a/../b:c',
    '//./a',
    '//a:',
    ':',
    '//a:b:c',
    '//a:b c',
    '//a:b/c',
    '//a:$(x)',
    '//a:b|c',
    '//a\n:b',
    '//a/...:b',
    `//${'a'.repeat(2000)}`,
    '//a:..',
  ])('refuses %j', (text) => expect(() => parseLabel(text)).toThrow(GraphFault));

  it('has a form for targets of subrepos that are built, whose packages have paths as all others have', () => {
    for (const [text, packageName] of [
      ['///x//:t', 'x@'],
      ['///a/x//b/c:t', 'a/x@/b/c'],
      // One in another.
      ['///a@/x//b:t', 'a@/x@/b'],
    ] as const) {
      expect(parseLabel(text)).toBe(text);
      expect(splitLabel(text)).toEqual({ package: packageName, name: 't' });
      expect(parseLabel(':t', packageName)).toBe(text);
    }
    expect(parseLabel('//b:t', 'a/x@/c')).toBe('///a/x//b:t');
    // No subrepo is named so.
    for (const each of ['//@:t', '//a/@/b:t', '//.@:t', '//a@b:t']) expect(parseLabel(each)).toBe(each);
  });

  it('takes any text without another error, and gives back what it gave', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('/', ':', '.', 'a', 'b', '|', '@') })),
        (text) => {
          try {
            const label = parseLabel(text, 'p');
            expect(parseLabel(label)).toBe(label);
            expect(labelOf(splitLabel(label).package, splitLabel(label).name)).toBe(label);
          } catch (error) {
            expect(error).toBeInstanceOf(GraphFault);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('patterns', () => {
  it.each<[string, string, string[], string[]]>([
    ['//...', 'x', ['//:a', '//a/b:c'], []],
    ['//a/...', '', ['//a:a', '//a/b:c'], ['//ab:c', '//:a']],
    ['...', 'a', ['//a/b:c'], ['//b:c']],
    ['//a:all', '', ['//a:x'], ['//a/b:x']],
    [':all', 'a', ['//a:x'], ['//b:x']],
    [':x', 'a', ['//a:x'], ['//a:y']],
    ['//a', '', ['//a:a'], ['//a:b']],
  ])('%s from %j', (text, from, fitting, others) => {
    const pattern = parsePattern(text, from);
    for (const label of fitting) expect(patternMatches(pattern, parseLabel(label)), label).toBe(true);
    for (const label of others) expect(patternMatches(pattern, parseLabel(label)), label).toBe(false);
    expect(parsePattern(formatPattern(pattern))).toEqual(pattern);
  });

  it.each(['//.../a', '//a/...b/...', 'a/...', '//../...'])('refuses %s', (text) =>
    expect(() => parsePattern(text)).toThrow(GraphFault),
  );
});

describe('isTargetVisible', () => {
  const owner = (...visibility: string[]) => ({ package: 'a', visibility }) as unknown as Target;
  it.each<[string[], string, boolean]>([
    [[], '//a:x', true],
    [[], '//a/b:x', false],
    [['PUBLIC'], '//z:x', true],
    [['//b/...'], '//b/c:x', true],
    [['//b/...'], '//bc:x', false],
    [['//b:all'], '//b:x', true],
    [['//b:all'], '//b/c:x', false],
    [['//b:y'], '//b:x', false],
  ])('%j to %s', (visibility, dependant, visible) =>
    expect(isTargetVisible(owner(...visibility), parseLabel(dependant))).toBe(visible),
  );
});
