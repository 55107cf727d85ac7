import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileGlob, hasWildcards, withoutEscapes } from './glob.ts';
import { compilePatterns, PatternProblem, readIgnoreFile } from './ignore.ts';
import { parseMode } from './mode.ts';

describe("Go's filepath.Match", () => {
  // The cases of Go's documentation and tests that mean something on Linux.
  test.each([
    ['abc', 'abc', true],
    ['*', 'abc', true],
    ['*c', 'abc', true],
    ['a*', 'a', true],
    ['a*', 'ab/c', false],
    ['a*/b', 'abc/b', true],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/fff', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['a?b', 'a☺b', true],
    ['a[^a]b', 'a☺b', true],
    ['a???b', 'a☺b', false],
    ['[a-ζ]*', 'α', true],
    ['*[a-ζ]', 'A', false],
    ['a?b', 'a/b', false],
    ['[\\]a]', ']', true],
    ['[\\-]', '-', true],
    ['[x\\-]', 'z', false],
    ['*x', 'xxx', true],
    ['**', 'abc', true],
    ['arr[[]0].txt', 'arr[0].txt', true],
  ])('%j fits %j: %j', (pattern, path, expected) => {
    expect(compileGlob(pattern)?.(path)).toBe(expected);
  });

  test.each(['[]a]', '[-]', '[x-]', '[-x]', '\\', '[a-b-c]', '[', '[^', '[^bc', 'a['])(
    '%j is a bad pattern',
    (pattern) => {
      expect(compileGlob(pattern)).toBeUndefined();
    },
  );

  test('takes no longer for patterns made to take for ever', () => {
    // It would not end within the time of a test.
    expect(compileGlob(`${'*a'.repeat(40)}b`)?.('a'.repeat(4000))).toBe(false);
  });

  test('wildcards and escapes', () => {
    expect(['a', 'a\\*', 'a\\\\', 'a*', '\\[[', '?'].map(hasWildcards)).toEqual([
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
    expect(withoutEscapes('a\\*b\\\\')).toBe('a*b\\');
  });
});

describe('a .dockerignore file', () => {
  const filter = (text: string) => {
    const patterns = compilePatterns(readIgnoreFile(text).map(({ pattern }) => pattern));
    return (path: string) => patterns.fits(path);
  };
  test.each([
    ['*.md\n!README.md', ['a.md'], ['README.md', 'sub/a.md']],
    ['**/*.go', ['x.go', 'a/b/x.go'], ['x.goo']],
    ['**', ['a', 'a/b'], []],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a/c']],
    ['**/a/**/b', ['a/b', 'x/a/y/z/b'], ['b', 'ab']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b/c'], ['ab', 'a/xb']],
    ['**foo', ['foo', 'xfoo', 'a/xfoo'], ['foox']],
    ['x**y', ['xy', 'xa/y'], ['xzy']],
    ['/build', ['build', 'build/x'], ['a/build']],
    ['./build/../out/', ['out', 'out/x'], ['build']],
    ['*\n!src\n!src/**', ['other', 'other/x'], ['src', 'src/a', 'src/a/b']],
    ['src\n!src/keep\nsrc/keep/not', ['src', 'src/a', 'src/keep/not'], ['src/keep', 'src/keep/x']],
    ['#no\n \n\\#yes', ['#yes'], ['#no']],
    ['a?c\n[x-z]1', ['abc', 'y1'], ['a/c', 'w1']],
    ['.', [], []],
  ])('%j', (text, left, taken) => {
    const fits = filter(text);
    expect(left.map((path) => [path, fits(path)])).toEqual(left.map((path) => [path, true]));
    expect(taken.map((path) => [path, fits(path)])).toEqual(taken.map((path) => [path, false]));
  });

  test('patterns that are none are refused', () => {
    for (const text of ['[', '!', 'a\\']) expect(() => filter(text)).toThrow(PatternProblem);
  });

  test('whatever the patterns are, matching ends and says the same again', () => {
    const part = fc.constantFrom('*', '**', '/', '?', 'a', 'b', '!', '[a-b]', '.', '\\', ' ');
    const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 4 }),
        fc.stringMatching(/^[ab]{1,3}(\/[ab]{1,3}){0,3}$/),
        (lines, path) => {
          try {
            const fits = filter(lines.join('\n'));
            expect(fits(path)).toBe(fits(path));
          } catch (error) {
            expect(error).toBeInstanceOf(PatternProblem);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('--chmod', () => {
  test.each(['9', '08', '10000', 'u', 'u+q', '=', '', 'u=rw,', 'rw'])('%j is no mode', (text) => {
    const isOnlyEquals = text === '=';
    expect(parseMode(text) === undefined).toBe(!isOnlyEquals);
  });

  test.each([
    ['u=rwX,go=rX', 0o600, false, 0o644],
    ['u=rwX,go=rX', 0o700, false, 0o755],
    ['u=rwX,go=rX', 0o600, true, 0o755],
    ['-X', 0o777, false, 0o666],
    ['+s', 0o755, false, 0o6755],
    ['o+s', 0o755, false, 0o755],
    ['u-s', 0o6755, false, 0o2755],
    ['+t', 0o777, true, 0o1777],
    ['4755', 0, false, 0o4755],
  ])('%s of %o (folder: %j) is %o', (text, mode, isFolder, expected) => {
    expect(parseMode(text)?.(mode, isFolder)).toBe(expected);
  });

  test('means what chmod means', () => {
    const clause = fc
      .tuple(
        fc.constantFrom('', 'a', 'u', 'g', 'o', 'ug', 'go'),
        fc.constantFrom('+', '-', '='),
        fc.constantFrom('r', 'w', 'x', 'rw', 'u', 'g', 'o', 'rwx', ''),
      )
      .map((parts) => parts.join(''));
    const modes = fc.constantFrom(0o644, 0o755, 0o600, 0o711, 0o000);
    const cases = fc.sample(fc.tuple(fc.array(clause, { minLength: 1, maxLength: 3 }), modes, fc.boolean()), {
      numRuns: 150,
      seed: 11,
    });
    const script = cases.map(
      ([clauses, mode, isFolder]) =>
        `${isFolder ? 'mkdir f' : ': > f'} && chmod 0${mode.toString(8)} f && chmod ${clauses.join(',')} f && stat -c %a f && rm -rf f`,
    );
    const folder = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
    const expected = execFileSync('sh', ['-ec', `umask 0; cd ${folder}; ${script.join('; ')}; rm -rf ${folder}`], {
      encoding: 'utf8',
    })
      .trim()
      .split('\n');
    const found = cases.map(([clauses, mode, isFolder]) => parseMode(clauses.join(','))?.(mode, isFolder));
    const wrong = cases.flatMap(([clauses, mode, isFolder], index) => {
      const same = found[index]?.toString(8) === expected[index];
      return same
        ? []
        : [
            `${clauses.join(',')} of ${mode.toString(8)} ${isFolder ? 'folder' : 'file'}: ${found[index]?.toString(8)}, chmod ${expected[index]}`,
          ];
    });
    expect(wrong).toEqual([]);
  });
});
