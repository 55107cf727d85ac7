// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${X} is the syntax of the language under test
import { describe, expect, it } from 'vitest';
import {
  createEvaluator,
  defaultLimits,
  defineFunction,
  LanguageFault,
  type Limits,
  type Source,
  type Value,
} from './index.ts';

/** Evaluates a file and returns what it gave to `show`. */
function shown(text: string, limits: Partial<Limits> = {}): unknown[] {
  const out: Value[] = [];
  const evaluator = createEvaluator({
    limits,
    functions: [
      defineFunction({
        name: 'show',
        parameters: [{ name: 'value' }],
        implementation: ([value]) => {
          out.push(value!);
          return null;
        },
      }),
    ],
  });
  evaluator.evaluate(evaluator.compile(source(text)), undefined);
  return out.map(plain);
}

function source(text: string, file = 'a/BUILD', internal = false): Source {
  return { file, text, internal };
}

function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, each]) => [key, plain(each)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

function value(expression: string): unknown {
  return shown(`show(${expression})`)[0];
}

function fault(text: string, limits: Partial<Limits> = {}): LanguageFault {
  try {
    shown(text, limits);
  } catch (error) {
    if (error instanceof LanguageFault) return error;
    throw error;
  }
  throw new Error(`no fault from: ${text}`);
}

describe('expressions', () => {
  it.each<[string, unknown]>([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['-7 // 2', -4],
    ['-7 / 2', -3],
    ['-7 % 3', -1],
    ['10 - 2 - 3', 5],
    ['-3 + 5', 2],
    ['"a" + "b" * 3', 'abbb'],
    ['[1] * 2 + [3]', [1, 1, 3]],
    ['1 < 2 and 2 <= 2 and not 3 > 4', true],
    ['not 1 == 2', true],
    ['None or "x"', 'x'],
    ['[] and 1', []],
    ['0 or [] or "last"', 'last'],
    ['1 if "" else 2', 2],
    ['["a" in "cat", "b" not in ["a"], "k" in {"k": 1}]', [true, true, true]],
    ['{"a": 1} | {"a": 2, "b": 3}', { a: 2, b: 3 }],
    ['{"a": {"b": [1]}} == {"a": {"b": [1]}}', true],
    ['[1, 2] < [1, 3]', true],
    ['None is None', true],
    ['"x" is not None', true],
    ['[x * y for x in [1, 2] for y in [3, 4] if x != y]', [3, 4, 6, 8]],
    ['{k: len(k) for k in ["a", "bb"]}', { a: 1, bb: 2 }],
    ['[k + v for k, v in {"b": "2", "a": "1"}.items()]', ['a1', 'b2']],
    ['(lambda x, y = 2: x + y)(1)', 3],
    ['"abcdef"[1:3] + "abc"[-1] + "abc"[:-2] + "abc"[5:]', 'bcca'],
    ['[1, 2, 3][1:]', [2, 3]],
    ['"%s=%d %r%%" % ("a", 1, "q")', 'a=1 "q"%'],
    ['"{} {x} ${Y} {{}}".format("a", x = 1)', 'a 1 ${Y} {{}}'],
    [String.raw`r"\n" + "\n\t\\\x41\b\d"`, '\\n\n\t\\\\x41\\b\\d'],
    ['"a" "b" \'c\'', 'abc'],
    ['"""one\ntwo"""', 'one\ntwo'],
    ['{"log": {"x": 1}}.log.x', 1],
  ])('%s', (expression, expected) => {
    expect(value(expression)).toEqual(expected);
  });

  it('interpolates names into f-strings and leaves the shell its variables', () => {
    expect(shown('x = "v"\nd = {"k": 1}\nshow(f"{x}-{d.k} ${HOME} {{x}}" " {x}")')).toEqual(['v-1 ${HOME} {x} {x}']);
  });

  it('gives an error in place of a wrong number', () => {
    expect(fault('x = 9007199254740991 + 1').code).toBe('language/limit');
    expect(fault('x = 1 // 0').code).toBe('language/value');
    expect(fault('x = 010').code).toBe('language/syntax');
    expect(fault('x = 1.5').code).toBe('language/syntax');
  });

  it('refuses chained comparisons, which mean something else in each language', () => {
    expect(fault('x = 1 < 2 < 3').next).toContain('and');
  });
});

describe('methods and functions', () => {
  it.each<[string, unknown]>([
    ['"a,b".split(",")', ['a', 'b']],
    ['"-".join(["a", "b"])', 'a-b'],
    ['"a.b.c".partition(".")', ['a', '.', 'b.c']],
    ['"a.b.c".rpartition(".")', ['a.b', '.', 'c']],
    ['"x".rpartition(".")', ['', '', 'x']],
    ['" x ".strip() + "--y".lstrip("-") + "z/".rstrip("/")', 'xyz'],
    ['"aXbX".replace("X", "-")', 'a-b-'],
    ['"libx.so".removeprefix("lib").removesuffix(".so")', 'x'],
    ['"abc".find("c") + "abca".rfind("a") + "aaa".count("a")', 8],
    ['"a".upper() + "B".lower() + "c".ljust(2) + "d".rjust(2, "0")', 'Abc 0d'],
    ['"abc".startswith("ab") and "abc".endswith("bc")', true],
    ['{"b": 1, "a": 2}.keys()', ['a', 'b']],
    ['{"b": 1, "a": 2}.values()', [2, 1]],
    ['{"a": 1}.get("b", 3)', 3],
    ['{}.setdefault("a", [])', []],
    ['len("ab") + len([1]) + len({})', 3],
    ['range(3) + range(1, 3) + range(3, 0, -2)', [0, 1, 2, 1, 2, 3, 1]],
    ['enumerate(["a"])', [[0, 'a']]],
    [
      'zip([1, 2], ["a", "b", "c"])',
      [
        [1, 'a'],
        [2, 'b'],
      ],
    ],
    ['sorted(["b", "a"]) + reversed([1, 2])', ['a', 'b', 2, 1]],
    ['sorted(["bb", "a"], key = lambda x: len(x), reverse = True)', ['bb', 'a']],
    ['[min([2, 1]), max(["a", "b"])]', [1, 'b']],
    [
      '[any([0, 1]), all([1, 0]), bool([]), int("-3"), str([None, True, {"a": "b"}])]',
      [true, false, false, -3, '[None True {"a": b}]'],
    ],
    // As Please's own test of types has it: a range is no list, and never empty.
    [
      '[isinstance(range(3), list), isinstance(range(3), range), isinstance([], range), isinstance([], range(1))]',
      [false, true, false, false],
    ],
    [
      '[str(range(1, 6)), range(2) + [5], [1] + [x for x in range(2)], 1 if range(0) else 2]',
      ['range(1, 6, 1)', [0, 1, 5], [1, 0, 1], 1],
    ],
    ['[isinstance("a", str), isinstance([], [str, list]), isinstance(1, dict)]', [true, true, false]],
    ['map(lambda x: x + 1, [1]) + filter(lambda x: x, [0, 2]) + [reduce(lambda a, b: a + b, [1, 2, 3])]', [2, 2, 6]],
    ['json({"b": [1, None], "a": "x"})', '{"a":"x","b":[1,null]}'],
  ])('%s', (expression, expected) => expect(value(expression)).toEqual(expected));
});

describe('statements', () => {
  it('runs loops with break and continue, conditions and unpacking', () => {
    const text = `
out = []
for name, number in [("a", 1), ("b", 2), ("c", 3), ("d", 4)]:
    if number == 2:
        continue
    elif number == 4:
        break
    else:
        out += [name]
show(out)
first, second = (1, [2])
second[0] += 5
d = {}
d["k"] = second
show([first, d])
`;
    expect(shown(text)).toEqual([
      ['a', 'c'],
      [1, { k: [7] }],
    ]);
  });

  it('makes a new list for += and leaves the old one to whoever holds it', () => {
    expect(shown('a = [1]\nb = a\nb += [2]\nshow(a)\nshow(b)')).toEqual([[1], [1, 2]]);
  });

  it('evaluates a default anew at each call', () => {
    expect(shown('def f(x:dict={}):\n    x["n"] = len(x)\n    return x\nf()\nshow(f())')).toEqual([{ n: 0 }]);
  });

  it('takes None for the default where the parameter has a type', () => {
    expect(shown('def f(x:list=["d"], y=1):\n    return [x, y]\nshow(f(None, None))')).toEqual([[['d'], null]]);
  });

  it('knows aliases of parameters', () => {
    expect(shown('def f(deps:list&needs=None):\n    return deps\nshow(f(needs = ["x"]))')).toEqual([['x']]);
  });

  it('closes over the variables around a function and keeps those of a comprehension inside it', () => {
    const text = `
def outer(n):
    def inner(x):
        return x + n
    return [inner(n) for n in [10, 20]] + [n]
show(outer(1))
x = "kept"
y = [x for x in ["a"]]
show(x)
`;
    expect(shown(text)).toEqual([[11, 21, 1], 'kept']);
  });

  it('shows the outer value of a name until it is assigned, as Please does', () => {
    expect(shown('x = 1\ndef f():\n    x = x + 1\n    return x\nshow(f())\nshow(x)')).toEqual([2, 1]);
  });

  it('reads the same text whatever the line ends', () => {
    const text = 'if True:\n    show("""a\nb""")\n\n# end';
    expect(shown(text.replaceAll('\n', '\r\n'))).toEqual(shown(text));
  });

  it('continues a line inside brackets and behind a backslash', () => {
    expect(shown('show([\n  1,\n\n  2, # two\n])\nshow(1 + \\\n  2)')).toEqual([[1, 2], 3]);
  });
});

describe('faults', () => {
  it('shows a misspelt argument at its place with the nearest name', () => {
    const error = fault('def lib(name:str, srcs:list=[]):\n    pass\nlib(\n    nmae = "x",\n)\n');
    expect(error).toMatchObject({
      code: 'language/argument',
      message: 'lib has no argument nmae',
      next: 'did you mean name?',
    });
    expect(error.place).toMatchObject({ file: 'a/BUILD', line: 4, column: 5, length: 10 });
  });

  it.each<[string, string, string, number]>([
    ['def f(a:str):\n    pass\nf(1)', 'language/argument', 'the argument a of f must be str, not int', 3],
    ['def f(a:str|list, b):\n    pass\nf("x")', 'language/argument', 'f needs the argument b', 3],
    ['def f(a):\n    pass\nf(1, a = 2)', 'language/argument', 'the argument a of f is given twice', 3],
    ['def f():\n    pass\nf(1)', 'language/argument', 'f takes at most 0 arguments, not 1', 3],
    ['len(1)', 'language/argument', 'the argument obj of len must be list or dict or str, not int', 1],
    ['x = undefined_thing', 'language/name', 'nothing is named undefined_thing', 1],
    ['show(y)\ny = 1', 'language/name', 'y is used before it is assigned', 1],
    ['"a" + 1', 'language/type', '+ is not defined for str and int', 1],
    ['for x in {"a": 1}:\n    pass', 'language/type', "dict can't be looped over", 1],
    ['a, b = [1]', 'language/value', '1 values for 2 names', 1],
    ['[1][1]', 'language/value', 'the index 1 is outside of this list of 1', 1],
    ['{"a": 1}["b"]', 'language/name', 'the dict has no key "b"', 1],
    ['assert 1 == 2, "no"', 'language/assertion', 'no', 1],
    ['fail("stop")', 'language/fail', 'stop', 1],
    ['"%s" % ("a", "b")', 'language/value', 'the string asks for 1 values and gets 2', 1],
    ['def f() -> list:\n    return "x"\nf()', 'language/type', 'f returns str, but is declared to return list', 3],
    ['"a".foo()', 'language/name', 'str has no attribute foo', 1],
    ['[].append(1)', 'language/name', 'list has no attribute append', 1],
    ['(1)(2)', 'language/type', "int can't be called", 1],
  ])('%s', (text, code, message, line) => {
    expect(fault(text)).toMatchObject({ code, message, place: { file: 'a/BUILD', line } });
  });

  it.each<[string, string, number, number]>([
    ['x = [1\ny = 2\n', 'this [ is never closed', 1, 5],
    ['x = (1]', '] closes (', 1, 7],
    ['x = "abc\ny = 1', 'this string is not closed on its line', 1, 5],
    ['x = "abc', 'this string is never closed', 1, 5],
    ['if x:\npass', 'expected an indented block of if, found pass', 2, 1],
    ['if x:\n\tpass', 'a tab in the indentation', 2, 1],
    ['if True:\n    a = 1\n  b = 2', 'this indentation matches no block above it', 3, 1],
    ['  a = 1', 'this line is indented, but no block begins above it', 1, 1],
    ['while True:', 'while is not part of the BUILD language', 1, 1],
    ['x -= 1', 'the BUILD language has no -=', 1, 3],
    ['x = 1;', '";" is not part of the BUILD language', 1, 6],
    ['f(a = 1, 2)', 'an argument by position after one by name', 1, 10],
    ['f(a = 1, a = 2)', 'the argument a is given twice', 1, 10],
    ['1 = x', "can't assign to this", 1, 1],
    ['def f(*args):\n    pass', 'functions of the BUILD language take no *args and **kwargs', 1, 7],
    ['def f(a:string):\n    pass', 'string is no type', 1, 9],
    ['return 1', 'return outside a function', 1, 1],
    ['break', 'break outside a loop', 1, 1],
    ['x = f"{1 + 2}"', "an f-string can't hold {1 + 2}", 1, 5],
    ['x = 1 2', 'expected the end of the line, found 2', 1, 7],
  ])('%j', (text, message, line, column) => {
    expect(fault(text)).toMatchObject({ code: 'language/syntax', message, place: { line, column } });
  });

  it('gives the chain of calls, and shows an error inside the own rules where they were called', () => {
    const evaluator = createEvaluator();
    const rules = 'def inner(x):\n    return x + 1\ndef rule(name):\n    return inner(name)\n';
    evaluator.preload(evaluator.compile(source(rules, 'rules/x.build_defs', true)), undefined);
    const build = source('def mine(name):\n    rule(name = name)\nmine("a")\n');
    const error = (() => {
      try {
        evaluator.evaluate(evaluator.compile(build), undefined);
      } catch (caught) {
        return caught as LanguageFault;
      }
      throw new Error('no fault');
    })();
    expect(error.place).toMatchObject({ file: 'a/BUILD', line: 2, column: 5 });
    expect(error.notes).toEqual(['at rules/x.build_defs:2 in inner', 'at rules/x.build_defs:4 in rule']);
    expect(error.related).toMatchObject([{ message: 'called here', place: { line: 3 } }]);
  });
});

describe('limits', () => {
  it.each<[string, string, Partial<Limits>]>([
    ['endless recursion', 'def f(x):\n    return f(x)\nf(1)', {}],
    ['a long loop', 'for i in range(1000):\n    for j in range(1000):\n        pass', { steps: 10_000 }],
    ['a long comprehension', 'x = [1 for i in range(1000) for j in range(1000)]', { steps: 10_000 }],
    ['a string that doubles', `x = "ab"\nfor i in range(60):\n    x = x + x`, {}],
    ['a string that is replaced by itself', `x = "aa"\nfor i in range(60):\n    x = x.replace("a", x)`, {}],
    ['a list that doubles', `x = [1]\nfor i in range(60):\n    x = x + x`, {}],
    ['a value that holds itself many times, printed', `x = [1]\nfor i in range(60):\n    x = [x, x]\ny = str(x)`, {}],
    [
      'a value that holds itself many times, compared',
      `x = [1]\ny = [1]\nfor i in range(60):\n    x = [x, x]\n    y = [y, y]\nz = x == y`,
      {},
    ],
    ['a list inside itself, printed', 'x = [1]\nx[0] = x\ny = str(x)', {}],
    ['a list inside itself, compared', 'x = [1]\nx[0] = x\ny = [1]\ny[0] = y\nz = x == y', {}],
    ['a huge repetition', 'x = "a" * 9000000000', {}],
    ['a huge range', 'x = range(1000000000)', {}],
    ['deep brackets', `x = ${'['.repeat(5000)}${']'.repeat(5000)}`, {}],
    ['deep negation', `x = ${'-'.repeat(5000)}1`, {}],
    ['deep not', `x = ${'not '.repeat(5000)}1`, {}],
    ['many calls in a row', `x = f${'()'.repeat(5000)}`, {}],
    ['deep blocks', Array.from({ length: 200 }, (_, depth) => `${' '.repeat(depth)}if True:`).join('\n'), {}],
    ['deep lambdas', `x = ${'lambda: '.repeat(5000)}1`, {}],
    ['a large file', `# ${'x'.repeat(100)}`, { fileLength: 50 }],
  ])('%s', (_, text, limits) => {
    expect(fault(text, limits).code).toBe('language/limit');
  });

  it('takes long chains of operators and long files of statements without depth', () => {
    expect(shown(`show(${Array(20_000).fill('1').join(' + ')})`)).toEqual([20_000]);
    expect(shown(`x = ""\n${'x = x + "a"\n'.repeat(20_000)}show(len(x))`)).toEqual([20_000]);
    expect(defaultLimits.nesting).toBeLessThan(1000);
  });
});

describe('files that share values', () => {
  const evaluate = (shared: string, user: string) => {
    const evaluator = createEvaluator();
    const names = evaluator.evaluate(evaluator.compile(source(shared, 'shared.build_defs')), undefined);
    const importing = createEvaluator<undefined>({
      functions: [
        defineFunction<undefined>({
          name: 'include',
          parameters: [],
          implementation: (_, call) => {
            call.importNames(names);
            return null;
          },
        }),
      ],
    });
    return importing.evaluate(importing.compile(source(user)), undefined);
  };

  it('gives public names on and keeps private ones', () => {
    const names = evaluate(
      '_hidden = 1\nshown = _hidden + 1\ndef f():\n    return _hidden',
      'include()\nx = f() + shown',
    );
    expect([...names.keys()].sort()).toEqual(['f', 'shown', 'x']);
    expect(names.get('x')).toBe(3);
  });

  it.each(['table["b"] = 1', 'table["a"][0] = 2', 'table.setdefault("b", 1)'])(
    'freezes what is shared: %s',
    (change) => {
      expect(() => evaluate('table = {"a": [1]}', `include()\n${change}`)).toThrowError(
        expect.objectContaining({ code: 'language/frozen' }) as Error,
      );
    },
  );

  it('lets a copy change', () => {
    expect(plain(evaluate('table = {"a": 1}', 'include()\nmine = table.copy()\nmine["b"] = 2').get('mine'))).toEqual({
      a: 1,
      b: 2,
    });
  });

  it('imports at the top level only', () => {
    expect(() => evaluate('x = 1', 'def f():\n    include()\nf()')).toThrowError(/inside a function/);
  });
});

describe('functions that are read when they are looked up', () => {
  const rules: Source = {
    file: 'rules.build_defs',
    internal: true,
    text: 'def _own(x):\n    return x + 1\n\ndef twice(x):\n    """Doc."""\n    return _own(x) * 2\n\ndef broken(:\n    pass\n',
  };
  const evaluatorOf = () => {
    const evaluator = createEvaluator();
    evaluator.preloadFunctions(rules, undefined);
    return evaluator;
  };
  const namesOf = (text: string) => {
    const evaluator = evaluatorOf();
    return evaluator.evaluate(evaluator.compile({ file: 'BUILD', text, internal: false }), undefined);
  };

  it('see those of their own file, which nobody else sees', () => {
    expect(namesOf('y = twice(2) + twice(3)\n').get('y')).toBe(14);
    expect(() => namesOf('y = _own(1)\n')).toThrow(/_own/);
  });

  it('are not read before: a mistake in one hides no other, and is told where it stands', () => {
    expect(() => namesOf('broken()\n')).toThrow(
      expect.objectContaining({ place: expect.objectContaining({ file: 'rules.build_defs', line: 8 }) }),
    );
  });

  it('give way to names that are preloaded later', () => {
    const evaluator = evaluatorOf();
    const text = 'def twice(x):\n    return 0\n';
    evaluator.preload(evaluator.compile({ file: 'own.build_defs', text, internal: false }), undefined);
    const module = evaluator.compile({ file: 'BUILD', text: 'y = twice(2)\n', internal: false });
    expect(evaluator.evaluate(module, undefined).get('y')).toBe(0);
  });
});
