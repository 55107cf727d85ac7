import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Evaluates a file in a process of its own that dies where its heap grows beyond this. */
function evaluated(text: string, heapMiB: number): { status: number | null; said: string } {
  const program = `
    const { createEvaluator, LanguageFault } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))});
    const { readFileSync } = await import('node:fs');
    try {
      const evaluator = createEvaluator();
      evaluator.evaluate(evaluator.compile({ file: 'BUILD', text: readFileSync(0, 'utf8'), internal: false }), undefined);
      console.log('fine');
    } catch (error) {
      if (!(error instanceof LanguageFault)) throw error;
      console.log(error.code + ': ' + error.message.slice(0, 80));
    }`;
  const { status, stdout } = spawnSync(
    process.execPath,
    [`--max-old-space-size=${heapMiB}`, '--input-type=module', '--eval', program],
    { input: text, encoding: 'utf8', maxBuffer: 1 << 20 },
  );
  return { status, said: stdout.trim() };
}

/** Each would take gigabytes without bounds. */
const hungry: Readonly<Record<string, string>> = {
  'long lists written out': `x = []\nfor i in range(100000):\n    y = [${'0,'.repeat(50_000)}]\n    x += [y]\n`,
  'long dicts written out': `x = []\nfor i in range(100000):\n    x += [{${Array.from({ length: 2000 }, (_, n) => `"k${n}": 0,`).join('')}}]\n`,
  'long strings, each another one':
    'x = []\na = "ab" * 2000000\nfor i in range(100000):\n    x += [(a + str(i)).upper()]\n',
  'strings of wide characters': 'a = "жb" * 2000000\nx = [(a + str(i)).upper() for i in range(100000)]\n',
  'formatted strings':
    'a = "ab" * 2000000\nx = [f"{a}{i}".upper() + ("%s%s" % (a, i)).lower() for i in range(100000)]\n',
  functions: 'x = [[lambda a, b, c: i for i in range(1000)] for j in range(100000)]\n',
  'lists of lists': 'x = [[[i] for i in range(1000)] for j in range(100000)]\n',
  'copies of a dict': 'd = {str(i): i for i in range(1000)}\nx = [d | d.copy() for j in range(1000000)]\n',
  'pairs of everything': 'a = range(100000)\nx = [enumerate(a) + zip(a, a) for j in range(100000)]\n',
  'values that hold themselves many times, as JSON': 'x = [1]\nfor i in range(60):\n    x = [x, x]\ny = json(x)\n',
};

describe('no file takes memory without bound', () => {
  it.each(Object.keys(hungry))(
    '%s',
    (name) => {
      const { status, said } = evaluated(hungry[name]!, 640);
      expect(said).toMatch(/^language\/limit: /);
      expect(status).toBe(0);
    },
    120_000,
  );

  it('the largest file fits into it', () => {
    const { status, said } = evaluated(`x = [${'"",'.repeat(690_000)}]\n`, 640);
    expect(said).toBe('fine');
    expect(status).toBe(0);
  }, 120_000);
});
