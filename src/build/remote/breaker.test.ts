import { expect, it } from 'vitest';
import { createBreaker } from './breaker.ts';

it('asks nothing for a while after failures in a row, then lets one try', () => {
  let now = 0;
  const breaker = createBreaker(2, 100, () => now);
  breaker.failed();
  expect(breaker.allows()).toBe(true);
  breaker.succeeded();
  breaker.failed();
  expect(breaker.allows()).toBe(true);
  breaker.failed();
  expect(breaker.allows()).toBe(false);
  now = 99;
  expect(breaker.allows()).toBe(false);
  now = 100;
  expect([breaker.allows(), breaker.allows()]).toEqual([true, false]);
  breaker.failed();
  now = 199;
  expect(breaker.allows()).toBe(false);
  now = 200;
  expect(breaker.allows()).toBe(true);
  breaker.succeeded();
  expect([breaker.allows(), breaker.allows()]).toEqual([true, true]);
});
