import type { TestFunction, TestFunctions } from './inspect.ts';

/**
 * The program that `go test` would generate: it hands the tests of a package to `testing`.
 *
 * @param internal functions of `package x`, @param external those of `package x_test`
 * @param benchmark whether it runs benchmarks where nothing else is asked for
 */
export function testMain(
  importPath: string,
  internal: TestFunctions,
  external: TestFunctions,
  benchmark = false,
): string {
  const has = (functions: TestFunctions) =>
    functions.main ||
    functions.tests.length + functions.benchmarks.length + functions.fuzzers.length + functions.examples.length > 0;
  const list = (kind: 'tests' | 'benchmarks' | 'fuzzers', type: string) => [
    `var ${kind} = []testing.${type}{`,
    ...internal[kind].map(({ name }) => `\t{${quoted(name)}, _test.${name}},`),
    ...external[kind].map(({ name }) => `\t{${quoted(name)}, _xtest.${name}},`),
    '}',
    '',
  ];
  const example = (from: string) => (each: TestFunction) =>
    `\t{${quoted(each.name)}, ${from}.${each.name}, ${quoted(each.output ?? '')}, ${each.unordered === true}},`;
  const main = internal.main ? '_test' : external.main ? '_xtest' : undefined;
  return [
    'package main',
    '',
    'import (',
    '\t"os"',
    ...(main === undefined ? [] : ['\t"reflect"']),
    '\t"testing"',
    '\t"testing/internal/testdeps"',
    ...(has(internal) ? [`\t_test ${quoted(importPath)}`] : []),
    ...(has(external) ? [`\t_xtest ${quoted(`${importPath}_test`)}`] : []),
    ')',
    '',
    ...list('tests', 'InternalTest'),
    ...list('benchmarks', 'InternalBenchmark'),
    ...list('fuzzers', 'InternalFuzzTarget'),
    'var examples = []testing.InternalExample{',
    ...internal.examples.map(example('_test')),
    ...external.examples.map(example('_xtest')),
    '}',
    '',
    'func init() {',
    `\ttestdeps.ImportPath = ${quoted(importPath)}`,
    '}',
    '',
    'func main() {',
    // Arguments given later in the line win.
    ...(benchmark ? ['\tos.Args = append([]string{os.Args[0], "-test.run=^$", "-test.bench=."}, os.Args[1:]...)'] : []),
    '\tm := testing.MainStart(testdeps.TestDeps{}, tests, benchmarks, fuzzers, examples)',
    ...(main === undefined
      ? ['\tos.Exit(m.Run())']
      : [`\t${main}.TestMain(m)`, '\tos.Exit(int(reflect.ValueOf(m).Elem().FieldByName("exitCode").Int()))']),
    '}',
    '',
  ].join('\n');
}

/** A Go string literal: JSON's escapes are Go's too, but for surrogates, which Go does not take. */
function quoted(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll('\\/', '/');
}
