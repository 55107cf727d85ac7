// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are of Dockerfiles, whose variables look so
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDuration } from './duration.ts';
import { type Escape, SubstitutionProblem, substitute } from './substitute.ts';

const variables: Readonly<Record<string, string>> = {
  foo: 'bar',
  empty: '',
  path: '/a/b/c.tar.gz',
  sp: 'x  y',
  q: '"',
  _1: 'under',
};
const run = (text: string, escaping: Escape = '\\') =>
  substitute(text, { escape: escaping, variable: (name) => variables[name] });

test.each([
  ['$foo', 'bar'],
  ['${foo}x$foo.y', 'barxbar.y'],
  ['$unset', ''],
  ['$_1 $1 $', 'under  $'],
  ['\\$foo \\${foo}', '$foo ${foo}'],
  ['\'$foo\' "$foo"', '$foo bar'],
  ['"\\$foo \\" \\n \\\\"', '$foo " \\n \\'],
  ['a\\ b\\', 'a b'],
  ['${unset:-x} ${empty:-x} ${empty-x} ${foo:-x}', 'x x  bar'],
  ['${unset:+x} ${empty:+x} ${empty+x} ${foo:+x}', '  x x'],
  ['${unset:-${empty:-$foo}}', 'bar'],
  ['${unset:-"a } b"}', 'a } b'],
  ['${unset-\\}}', '}'],
  ['${foo:?no} ${empty?no}', 'bar '],
  ['${path#*/} ${path##*/}', 'a/b/c.tar.gz c.tar.gz'],
  ['${path%.*} ${path%%.*}', '/a/b/c.tar /a/b/c'],
  ['${path#x} ${foo%??}', '/a/b/c.tar.gz b'],
  ['${path/\\//-} ${path//\\//-} ${foo/a/$foo}', '-a/b/c.tar.gz -a-b-c.tar.gz bbarr'],
  ['${foo//?/x} ${foo/b*/x}', 'xxx x'],
  ['$q$foo', '"bar'],
])('%s', (text, expected) => {
  expect(run(text).text).toBe(expected);
});

test('the escape of the file counts', () => {
  expect(run('C:\\$foo`$x', '`').text).toBe('C:\\bar$x');
});

test('words end at white space outside of quotes, that of variables included', () => {
  expect(run('a $sp "b c" d\\ e \'\' $unset').words).toEqual(['a', 'x', 'y', 'b c', 'd e']);
});

test('variables that are not set are told of, unless the text says what to do', () => {
  expect(run('$a ${b} ${c:-x} $foo').unset).toEqual(['a', 'b']);
});

test('in a heredoc quotes are characters', () => {
  expect(substitute('\'$foo\' "\\$foo"', { escape: '\\', variable: () => 'x', ignoreQuotes: true }).text).toBe(
    '\'x\' "$foo"',
  );
});

describe('what is refused', () => {
  test.each([
    ['x${foo', 1],
    ['${}', 0],
    ['${foo:', 0],
    ['${foo:x}', 0],
    ['${foo!x}', 0],
    ['${foo:#x}', 0],
    ['"x', 0],
    ["a'x", 1],
    ['${unset:?say it}', 0],
    ['${foo/a}', 0],
    ['${foo#\\a}', 0],
  ])('%s', (text, at) => {
    expect(() => run(text)).toThrow(SubstitutionProblem);
    try {
      run(text);
    } catch (error) {
      expect((error as SubstitutionProblem).at).toBe(at);
    }
  });

  test('what would fill the memory or the stack', () => {
    const big = 'x'.repeat(600_000);
    expect(() => substitute('$a$a', { escape: '\\', variable: () => big })).toThrow(/characters/);
    expect(() => run(`${'${u:-'.repeat(5000)}x${'}'.repeat(5000)}`)).toThrow(/deep/);
  });

  test('patterns made to take for ever do not', () => {
    const text = `\${long#${'*a'.repeat(30)}b}`;
    const value = 'a'.repeat(5_000);
    // One that does would take longer than any test may.
    expect(substitute(text, { escape: '\\', variable: () => value }).text).toBe(value);
  });
});

test('patterns mean what they mean to a shell', () => {
  const value = fc.stringMatching(/^[ab.]{0,8}$/);
  const pattern = fc.stringMatching(/^[ab.*?]{0,5}$/);
  const operator = fc.constantFrom('#', '##', '%', '%%');
  const cases = fc.sample(fc.tuple(value, pattern, operator), { numRuns: 400, seed: 7 });
  // A pattern that begins with the operator's second character would be read as the longer operator.
  const script = cases.map(([v, p, o]) => `v='${v}'; p='${p}'; printf '%s\\n' "\${v${o}$p}"`).join('\n');
  const expected = execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\n').slice(0, -1);
  const found = cases.map(([v, p, o]) => substitute(`\${v${o}${p}}`, { escape: '\\', variable: () => v }).text);
  expect(found).toEqual(expected);
});

test('any text is replaced, or refused with a position in it', () => {
  const part = fc.oneof(
    fc.constantFrom('$', '${', '}', ':-', '#', '%', '/', '"', "'", '\\', 'foo', '*'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      const text = parts.join('');
      try {
        run(text);
      } catch (error) {
        if (!(error instanceof SubstitutionProblem)) throw error;
        expect(error.at).toBeGreaterThanOrEqual(0);
        expect(error.at).toBeLessThanOrEqual(text.length);
      }
    }),
    { numRuns: 1500 },
  );
});

test.each([
  ['30s', 30e9],
  ['1h2m3.5s', 3723.5e9],
  ['100ms', 1e8],
  ['1µs', 1000],
  ['.5s', 5e8],
  ['0', 0],
  ['-1s', -1e9],
  ['1', undefined],
  ['s', undefined],
  ['1x', undefined],
  ['', undefined],
  ['99999999999h', undefined],
])('the duration %j', (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});
