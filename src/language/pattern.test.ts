import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EvaluationError } from './fault.ts';
import { patternFits } from './pattern.ts';

describe('regular expressions', () => {
  it.each([
    ['', '', true],
    ['b', 'abc', true],
    ['^b', 'abc', false],
    ['^a.c$', 'abc', true],
    ['^(ab|cd)+$', 'abcdab', true],
    ['^(ab|cd|e)+$', 'abcdeab', true],
    ['^(ab|cd)+$', 'abcda', false],
    ['^a{2,3}$', 'aa', true],
    ['^a{2,3}$', 'aaaa', false],
    ['^a{2,}$', 'aaaa', true],
    ['^a{2}$', 'aaa', false],
    ['^[a-c_]+[^0-9]$', 'ab_x', true],
    ['^[^a]$', 'a', false],
    ['^[]a]$', ']', true],
    ['^[\\d-]+$', '1-2', true],
    ['^v?\\d+\\.\\d+$', 'v1.22', true],
    ['\\bgo\\b', 'a go b', true],
    ['\\bgo\\b', 'gone', false],
    ['(?i)^LINUX', 'linux_amd64', true],
    ['^(?:x|)y$', 'y', true],
    ['^a*?b$', 'aab', true],
    ['^(a?){3}b$', 'aab', true],
    ['^ü.$', 'ü😀', true],
  ])('%s in %s: %s', (pattern, text, fits) => {
    expect(patternFits(pattern, text)).toBe(fits);
  });

  it.each([
    '(',
    ')',
    '[a',
    '*a',
    'a\\',
    '(?<x>a',
    '(?=a)',
    '(?i)*',
    '\\pQ',
    '[b-a]',
    'a{3,2}',
    '\\1',
    '(a{1000}){1000}',
  ])('refuses %s', (pattern) => {
    expect(() => patternFits(pattern, 'a')).toThrow(EvaluationError);
  });

  it('takes no longer for what backtracking never ends with', () => {
    expect(patternFits('^(a+)+$', `${'a'.repeat(5000)}b`)).toBe(false);
    expect(patternFits('^(a|aa)+$', `${'a'.repeat(5000)}b`)).toBe(false);
  });

  it('agrees with the regular expressions of JavaScript', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '\\w');
    const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
      pattern: fc.oneof(
        { maxDepth: 3 },
        atom,
        fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => a + b),
        fc.tuple(tie('pattern'), tie('pattern')).map(([a, b]) => `(${a}|${b})`),
        fc.tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{1,2}')).map(([a, many]) => `(?:${a})${many}`),
        tie('pattern').map((a) => `^${a}$`),
      ),
    }));
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '1', ' '), maxLength: 6 });
    fc.assert(
      fc.property(pattern, text, (of, on) => {
        expect(patternFits(of, on)).toBe(new RegExp(of).test(on));
      }),
      { numRuns: 3000 },
    );
  });
});
