import { describe, expect, it } from 'vitest';
import { createEvaluator, defineFunction, FunctionValue } from './index.ts';

const outside = ['far', 'near'].map((name) =>
  defineFunction({ name, documentation: name, parameters: [], rest: true, implementation: () => null }),
);

interface Context {
  readonly setting: string;
}

/** What `f` of a file can come to use. */
function closure(text: string, setting = 'a') {
  const context: Context = { setting };
  const evaluator = createEvaluator<Context>({
    functions: outside,
    dynamic: { CONFIG: (at) => new Map([['KEY', at.setting]]) },
  });
  const source = { file: 'BUILD', text, internal: false };
  const names = evaluator.evaluate(evaluator.compile(source), context);
  const callee = names.get('f');
  if (!(callee instanceof FunctionValue)) throw new Error('f is no function');
  return evaluator.closure(callee, context, source);
}

const base = `
ending = ".x"
table = {"a": [1, 2]}
def helper(x):
    return x + ending
def make(depth):
    def inner(name):
        return near(helper(name), depth, table)
    return inner
f = make(1)
unused = 1
def other():
    far()
`;

describe('what a function can come to use', () => {
  it.each([
    ['comments and places', base.replace('def helper', '# said\n\n\ndef helper')],
    ['documentation', base.replace('return x + ending', '"""Says more."""\n    return x + ending')],
    ['another value that it does not see', base.replace('unused = 1', 'unused = 2')],
    ['another function that it does not call', base.replace('far()', 'far(1)')],
  ])('is the same after an edit of %s', (_, edited) => {
    expect(edited).not.toBe(base);
    expect(closure(edited).text).toBe(closure(base).text);
  });

  it.each([
    ['its code', base.replace('near(', 'near(1, ')],
    ['the code of what it calls', base.replace('x + ending', 'ending + x')],
    ['a value that it sees', base.replace('".x"', '".y"')],
    ['a value in a dict that it sees', base.replace('[1, 2]', '[1, 3]')],
    ['a value of the function around it', base.replace('make(1)', 'make(2)')],
    ['a value that comes later', `${base}ending = ".z"\n`],
  ])('is another after an edit of %s', (_, edited) => {
    expect(edited).not.toBe(base);
    expect(closure(edited).text).not.toBe(closure(base).text);
  });

  it('names the functions that are not of the language, however far', () => {
    expect([...closure(base).natives]).toEqual(['near']);
    expect([...closure('calls = {"a": [far]}\nf = lambda x: calls[x][0]()').natives]).toEqual(['far']);
    expect([...closure('f = lambda x, y=near: y(x)').natives]).toEqual(['near']);
    expect([...closure('f = [lambda: each() for each in [far]][0]').natives]).toEqual(['far']);
    expect([...closure('f = lambda x: x.upper()').natives]).toEqual([]);
  });

  it('reads names of the context, in f-strings too', () => {
    const text = 'f = lambda x: f"{x} {CONFIG.KEY}"';
    expect(closure(text, 'a').text).not.toBe(closure(text, 'b').text);
    expect(closure('f = lambda x: x', 'a').text).toBe(closure('f = lambda x: x', 'b').text);
  });

  it('ends, where functions call one another and values hold themselves', () => {
    const circle = 'def f(x):\n    return g(x)\ndef g(x):\n    return f(x) + l\nl = [1]\nl[0] = l\n';
    expect(closure(circle).text).toBe(closure(circle).text);
    expect(closure(circle).text).not.toBe(closure(circle.replace('f(x) + l', 'f(x)')).text);
  });
});
