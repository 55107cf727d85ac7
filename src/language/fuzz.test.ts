import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coreFunctions, createEvaluator, dictMethods, LanguageFault, stringMethods } from './index.ts';

const limits = {
  steps: 20_000,
  memory: 20_000_000,
  stringLength: 100_000,
  listLength: 10_000,
  callDepth: 50,
  nesting: 50,
};

/** Words of the language, so that random texts get past the lexer. */
const words = fc.constantFrom(
  ...'def for in if elif else return assert pass continue break and or not is lambda True False None f x y len str sorted range map'.split(
    ' ',
  ),
  ...'( ) [ ] { } , : . = + - * / // % | < > <= >= == != += -> &'.split(' '),
  ...[
    '\n',
    '\n    ',
    '\n        ',
    ' ',
    '"a"',
    "'b'",
    'f"{x}"',
    'r"\\"',
    '"""c"""',
    '0',
    '7',
    '# c\n',
    '"%s"',
    '.join',
    '.format',
    '\\\n',
    '"a"*3',
    '{"k":1}',
  ],
);

/** Programs in the grammar: statements over expressions, with names that may be unknown and types that don't fit. */
const name = fc.constantFrom(
  'x',
  'y',
  'z',
  'f',
  'g',
  'len',
  'str',
  'sorted',
  'json',
  'zip',
  ...coreFunctions.map((each) => each.name),
);
const method = fc.constantFrom(...stringMethods.keys(), ...dictMethods.keys());
const { expression } = fc.letrec<{ expression: string }>((tie) => {
  const inner = tie('expression');
  return {
    expression: fc.oneof(
      { maxDepth: 6, depthIdentifier: 'expression' },
      fc.oneof(
        name,
        fc.integer({ min: -5, max: 9999 }).map(String),
        fc.constantFrom('"s"', '""', 'None', 'True', '[]', '{}', '"%s %d"', '"{} {x}"'),
      ),
      fc
        .tuple(
          inner,
          fc.constantFrom('+', '-', '*', '/', '//', '%', '|', '==', '<', 'in', 'not in', 'is', 'and', 'or'),
          inner,
        )
        .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      fc.tuple(inner, inner, inner).map(([a, test, b]) => `(${a} if ${test} else ${b})`),
      fc.array(inner, { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
      fc.tuple(inner, inner).map(([a, b]) => `{str(${a}): ${b}}`),
      fc.tuple(name, fc.array(inner, { maxLength: 3 })).map(([callee, args]) => `${callee}(${args.join(', ')})`),
      fc
        .tuple(inner, method, fc.array(inner, { maxLength: 3 }))
        .map(([object, method, args]) => `(${object}).${method}(${args.join(', ')})`),
      fc.tuple(inner, name, inner).map(([item, each, over]) => `[${item} for ${each} in ${over}]`),
      fc.tuple(inner, inner).map(([object, key]) => `(${object})[${key}]`),
      fc.tuple(inner, inner, inner).map(([object, from, to]) => `(${object})[${from}:${to}]`),
      inner.map((body) => `(lambda x, y = 1: ${body})`),
      fc.tuple(inner, method).map(([object, each]) => `(${object}).${each}`),
      fc
        .tuple(inner, inner, name, inner, inner)
        .map(
          ([key, value, each, over, test]) => `{str(${key}): ${value} for ${each}, y in enumerate(${over}) if ${test}}`,
        ),
      inner.map((operand) => `(- ${operand} if not ${operand} else f"{x} {{}} {y}")`),
      fc
        .tuple(fc.string({ unit: fc.constantFrom(...'%{}$sdqxXobctv.0123-+ #'), maxLength: 12 }), inner)
        .map(([text, value]) => `(${JSON.stringify(text)} % ${value}).format(${value}, x = ${value})`),
      fc.tuple(name, inner).map(([callee, value]) => `${callee}(seq = ${value}, key = lambda x: x)`),
    ),
  };
});
const statement = fc.oneof(
  fc.tuple(name, expression).map(([target, value]) => `${target} = ${value}`),
  fc.tuple(name, expression).map(([target, value]) => `${target} += ${value}`),
  fc.tuple(name, expression, expression).map(([target, key, value]) => `${target}[${key}] = ${value}`),
  fc
    .tuple(name, expression, expression)
    .map(([each, over, body]) => `for ${each} in ${over}:\n    x = ${body}\n    f = [x, f]`),
  fc.tuple(expression, expression).map(([test, body]) => `if ${test}:\n    y = ${body}\nelse:\n    y = 1`),
  fc.tuple(name, expression).map(([defined, body]) => `def ${defined}(x, y = 2):\n    return ${body}`),
  fc
    .tuple(name, expression, expression)
    .map(
      ([defined, test, body]) =>
        `def ${defined}(x:list|str=None, y:int&z=2) -> list:\n    if ${test}:\n        return [${defined}(x, y)]\n    def f():\n        return ${body}\n    return [f()]`,
    ),
  fc.tuple(name, expression).map(([each, body]) => `${each}.append(${body})`),
  fc.tuple(name, name, expression).map(([a, b, body]) => `${a}, ${b} = ${body}`),
  expression.map((body) => `assert ${body}, str(${body})`),
);
const program = fc
  .array(statement, { maxLength: 12 })
  .map((statements) => `x = 1\ny = [1, "a"]\nz = {"k": y}\n${statements.join('\n')}\n`);

/** Ends in time, with a result or with a fault that has a place in the text. */
function survives(text: string): void {
  const evaluator = createEvaluator({ limits });
  try {
    evaluator.evaluate(evaluator.compile({ file: 'BUILD', text, internal: false }), undefined);
  } catch (error) {
    expect(error).toBeInstanceOf(LanguageFault);
    const { place, message } = error as LanguageFault;
    expect(message).not.toBe('');
    expect(place?.line).toBeGreaterThan(0);
    expect(place?.line).toBeLessThanOrEqual(text.split('\n').length);
  }
}

/** `BANKSMAN_FUZZ_RUNS=20` multiplies the numbers below. The seed is another one each time, and shown where something is found. */
const times = Number(process.env.BANKSMAN_FUZZ_RUNS ?? 1);

describe('hostile files neither crash nor hang', () => {
  it('any bytes', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 400 }), (bytes, again) => {
        survives(Buffer.from(bytes).toString('utf8'));
        survives(Buffer.from(bytes.subarray(0, 4)).toString('latin1').repeat(again));
        survives(`x = """${Buffer.from(bytes).toString('utf16le')}"""\nr = f"{x}"`);
      }),
      { numRuns: 1500 * times },
    ));

  it('any text', () =>
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), survives), { numRuns: 3000 * times }));

  it('any row of words', () =>
    fc.assert(
      fc.property(
        fc.array(words, { maxLength: 80 }).map((row) => row.join('')),
        survives,
      ),
      { numRuns: 5000 * times },
    ));

  it('any program', () => fc.assert(fc.property(program, survives), { numRuns: 5000 * times }));

  const spelled = (alphabet: string) =>
    fc.array(fc.constantFrom(...alphabet), { maxLength: 40 }).map((characters) => characters.join(''));

  it('any regular expression', () =>
    fc.assert(
      fc.property(spelled('ab.*+?()[]{}|^$\\\\0123,-'), spelled('ab01-\n'), (pattern, text) =>
        survives(`x = ${JSON.stringify(text)}.matches(${JSON.stringify(pattern)})\n`),
      ),
      { numRuns: 5000 * times },
    ));

  it('any constraint on any version', () =>
    fc.assert(
      fc.property(spelled('01.-+v'), spelled('01.x*^~<>=!, |-v'), (version, constraint) =>
        survives(
          `x = is_semver(${JSON.stringify(version)})\ny = semver_check("1.0.0", ${JSON.stringify(constraint)})\nz = semver_check(${JSON.stringify(version)}, "*")\n`,
        ),
      ),
      { numRuns: 3000 * times },
    ));

  it('the same text gives the same values or the same fault', () =>
    fc.assert(
      fc.property(program, (text) => {
        const outcome = () => {
          const evaluator = createEvaluator({ limits });
          try {
            const names = evaluator.evaluate(
              evaluator.compile({ file: 'BUILD', text: `${text}\nresult = str([x, y, z])\n`, internal: false }),
              undefined,
            );
            return String(names.get('result'));
          } catch (error) {
            return `${(error as LanguageFault).code} ${(error as LanguageFault).message}`;
          }
        };
        expect(outcome()).toBe(outcome());
      }),
      { numRuns: 500 * times },
    ));
});
