import { expect, test } from 'vitest';
import { functionsOf, parseSource } from '../language/index.ts';
import { ruleFiles } from './index.ts';

test.each(ruleFiles())(
  '$path holds its documentation and functions alone, each found where it stands',
  ({ path, source: text }) => {
    const source = { file: path, text, internal: true };
    const [documentation, ...statements] = parseSource(source).statements;
    const found = functionsOf(source);
    expect(documentation).toMatchObject({ type: 'expression', expression: { type: 'constant' } });
    expect(statements.map((each) => each.type === 'def' && each.name)).toEqual([...found.keys()]);
    for (const [name, part] of found) {
      // Read by itself a function is what it is in the whole file.
      expect(parseSource(source, undefined, part).statements).toEqual(
        statements.filter((each) => each.type === 'def' && each.name === name),
      );
    }
  },
);
