import { expect, test } from 'vitest';
import { type Done, together } from './together.ts';

function gathered() {
  const runs: number[][] = [];
  const ends: (() => void)[] = [];
  const ask = together<number, number>(async (items) => {
    runs.push([...items]);
    await new Promise<void>((resolve) => ends.push(resolve));
    return items.map((item): Done<number> => (item < 0 ? { error: new Error(`no ${item}`) } : { value: item * 2 }));
  }, 3);
  return { runs, ends, ask };
}

test('what is asked for while others are done is done together, at most so many', async () => {
  const { runs, ends, ask } = gathered();
  const first = ask(1);
  await Promise.resolve();
  const others = [2, 3, 4, 5].map(ask);
  expect(runs).toEqual([[1]]);
  ends[0]?.();
  await expect(first).resolves.toBe(2);
  ends[1]?.();
  await expect(others[0]).resolves.toBe(4);
  ends[2]?.();
  await expect(Promise.all(others)).resolves.toEqual([4, 6, 8, 10]);
  expect(runs).toEqual([[1], [2, 3, 4], [5]]);
});

test('one that fails fails alone', async () => {
  const { ends, ask } = gathered();
  const [good, bad] = [ask(1), ask(-1)];
  await Promise.resolve();
  ends[0]?.();
  await expect(bad).rejects.toThrow('no -1');
  await expect(good).resolves.toBe(2);
});

test('what ends the run ends all of it, and the next are done all the same', async () => {
  let failed = false;
  const ask = together<number, number>(async (items) => {
    if (!failed) {
      failed = true;
      throw new Error('lost');
    }
    return items.map((value) => ({ value }));
  }, 10);
  const both = await Promise.allSettled([ask(1), ask(2)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect(ask(3)).resolves.toBe(3);
});
