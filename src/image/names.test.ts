import { expect, test } from 'vitest';
import { digestOf } from './digest.ts';
import { formatReference, parseReference, repositoryFor, tagFor } from './names.ts';

test.each([
  ['//bank/ledger:image', undefined, 'bank/ledger'],
  ['//bank/ledger:ledger', undefined, 'bank/ledger'],
  ['//bank/ledger', undefined, 'bank/ledger'],
  ['//bank/ledger:migrate', undefined, 'bank/ledger/migrate'],
  ['//:image', undefined, 'image'],
  ['//bank/ledger:image', 'team/other', 'team/other'],
])('the repository of %s (repo = %s) is %s', (label, repo, expected) => {
  expect(repositoryFor(label, repo)).toBe(expected);
});

test.each([
  ['//Bank/ledger:image', undefined],
  ['//bank/led ger:image', undefined],
  ['//bank:image', '../escape'],
  ['//bank:image', 'a//b'],
  ['//bank:image', '/a'],
  ['//bank:image', ''],
  ['//bank:image', `a/${'b'.repeat(260)}`],
])('%s (repo = %s) has no repository', (label, repo) => {
  expect(() => repositoryFor(label, repo)).toThrow(expect.objectContaining({ code: 'image/bad-repository' }));
});

test('a tag is the first 12 hex digits of the sum of the configuration', () => {
  expect(tagFor(digestOf('{}'))).toBe('44136fa355b3');
});

test.each([
  'registry.local/bank/ledger:0123456789ab',
  'localhost:5000/a',
  'localhost/a:b',
  `example.com/a/b@${digestOf('x')}`,
  `example.com:443/a/b:t@${digestOf('x')}`,
  '[::1]:5000/a:b',
])('%s is read and written back', (text) => {
  expect(formatReference(parseReference(text))).toBe(text);
});

test.each([
  '',
  'ledger:1',
  'bank/ledger:1',
  'registry.local/',
  'registry.local/Bank:1',
  'registry.local/a:',
  'registry.local/a:-x',
  'registry.local/a@sha256:12',
  'registry.local/a@sha512:00@x',
  'registry.local/../a:1',
  'http://registry.local/a:1',
  'user@registry.local/a:1',
])('%j names no image', (text) => {
  expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'image/bad-reference' }));
});
