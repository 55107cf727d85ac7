import { describe, expect, it } from 'vitest';
import type { BuiltinRequest } from '../types.ts';
import { lockedPackages } from './lock.ts';

const sum = `sha512-${'A'.repeat(86)}==`;
const request = (packages: unknown): BuiltinRequest =>
  ({ target: { label: '//:n', place: { file: 'BUILD', line: 1 } }, config: { packages } }) as unknown as BuiltinRequest;

describe('lockedPackages', () => {
  it('takes names, those of scopes, those that stand for others, and several sums', () => {
    const packages = lockedPackages(
      request({
        'node_modules/@s/a/node_modules/b.js': { version: '1.0.0-rc.1+x', integrity: sum },
        'node_modules/c': { version: '2.0.0', integrity: `sha1-AAAA  ${sum}`, name: '@s/d' },
      }),
    );
    expect(packages).toEqual([
      { path: 'node_modules/@s/a/node_modules/b.js', name: 'b.js', version: '1.0.0-rc.1+x', integrity: sum },
      { path: 'node_modules/c', name: '@s/d', version: '2.0.0', integrity: `sha1-AAAA ${sum}` },
    ]);
  });

  it.each([
    ['leads out of the folder', 'node_modules/../../x', {}],
    ['leads out of the folder by its name', 'node_modules/x', { name: '../x' }],
    ['lies elsewhere', 'packages/x', {}],
    ['is an option of npm', 'node_modules/--x', {}],
    ['is of a git repository', 'node_modules/x', { version: 'git+ssh://git@h/x.git' }],
    ['has a tag in place of a version', 'node_modules/x', { version: 'latest' }],
    ['has no version', 'node_modules/x', { version: undefined }],
  ])('refuses an entry that %s', (_, path, more) => {
    expect(() => lockedPackages(request({ [path]: { version: '1.0.0', integrity: sum, ...more } }))).toThrow(
      expect.objectContaining({
        code: 'build/bad-config',
        message: expect.stringContaining('names no package') as string,
      }),
    );
  });

  it.each([[undefined], [''], ['md5-AAAA'], [`${sum} nonsense`]])('refuses the sum %j', (integrity) => {
    expect(() => lockedPackages(request({ 'node_modules/x': { version: '1.0.0', integrity } }))).toThrow(
      expect.objectContaining({ code: 'build/unlocked' }),
    );
  });
});
