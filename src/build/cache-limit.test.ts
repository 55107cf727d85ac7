import { expect, it } from 'vitest';
import { cacheLimitOf } from './cache-limit.ts';

it('is what the variable says, and 20 GiB without it', () => {
  expect(cacheLimitOf({})).toBe(20 * 1024 ** 3);
  expect(cacheLimitOf({ BANKSMAN_CACHE_LIMIT: '' })).toBe(20 * 1024 ** 3);
  expect(cacheLimitOf({ BANKSMAN_CACHE_LIMIT: '800MiB' })).toBe(800 * 1024 ** 2);
  expect(cacheLimitOf({ BANKSMAN_CACHE_LIMIT: ' 50 GiB ' })).toBe(50 * 1024 ** 3);
  expect(cacheLimitOf({ BANKSMAN_CACHE_LIMIT: '2TiB' })).toBe(2 * 1024 ** 4);
});

it.each(['20', '0GiB', '-1GiB', '1e3GiB', '20GB', 'GiB', '1.5GiB', '1GiB\n2'])('%j is no size', (text) => {
  expect(() => cacheLimitOf({ BANKSMAN_CACHE_LIMIT: text })).toThrow('is no size');
});
