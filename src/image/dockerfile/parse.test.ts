import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFault, renderFault } from '../../fault/index.ts';
import { DockerfileFault } from './fault.ts';
import type { Instruction, Meaning, MeaningOf } from './instruction.ts';
import { decodeDockerfile, parseDockerfile } from './parse.ts';

const parse = (text: string) => parseDockerfile({ file: 'bank/Dockerfile', text });
/** The instructions of the only stage. */
const instructions = (text: string): readonly Instruction[] => parse(`FROM scratch\n${text}`).stages[0]!.instructions;
const meaning = <Kind extends Meaning['kind']>(text: string, kind: Kind): MeaningOf<Kind> => {
  const [only, ...more] = instructions(text);
  expect(more).toEqual([]);
  expect(only?.meaning.kind).toBe(kind);
  return only!.meaning as MeaningOf<Kind>;
};
const faultOf = (text: string): DockerfileFault => {
  try {
    parse(text);
  } catch (error) {
    expect(error).toBeInstanceOf(DockerfileFault);
    return error as DockerfileFault;
  }
  throw new Error('it was parsed');
};

describe('lines', () => {
  test('continue behind an escape, with comments and blanks between them', () => {
    const { pairs } = meaning('ENV a=1 \\\n  # a comment\n\t# another\n  b=2 \\  \n c=3', 'env');
    expect(pairs.map(({ name, value }) => [name.text, value.text])).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]);
  });

  test('an escape before the escape is a character, and the line ends', () => {
    expect(instructions('ENV a=x\\\\\nENV b=2').map(({ line }) => line.text)).toEqual(['ENV a=x\\\\', 'ENV b=2']);
  });

  test('an empty line in an instruction that goes on is passed over with a warning; the end of the file ends it', () => {
    const { stages, warnings } = parse('FROM scratch\nENV a=1 \\\n\n b=2 \\\n');
    expect(stages[0]!.instructions[0]!.line.text).toBe('ENV a=1  b=2 ');
    expect(warnings).toMatchObject([{ line: 3 }]);
  });

  test('may end with CR LF, and the file may begin with a byte order mark', () => {
    const { stages } = parse('\ufeffFROM scratch\r\nENV a=1 \\\r\n  b=2\r\n');
    expect(stages[0]!.instructions[0]!.line.text).toBe('ENV a=1   b=2');
  });

  test('# begins a comment at the start of a line alone', () => {
    expect(meaning('  # no\nLABEL a="#1" b=x#y', 'label').pairs.map(({ value }) => value.text)).toEqual([
      '"#1"',
      'x#y',
    ]);
  });
});

describe('directives', () => {
  test('the escape may be a backtick', () => {
    const {
      stages,
      escape: escaping,
      syntax,
    } = parse('# syntax = docker/dockerfile:1\n#escape=`\nFROM scratch\nENV a=1 `\n b=c:\\d\\\n');
    expect([escaping, syntax]).toEqual(['`', 'docker/dockerfile:1']);
    expect(stages[0]!.instructions[0]!.line.text).toBe('ENV a=1  b=c:\\d\\');
  });

  test('count above all else only', () => {
    for (const before of ['# a comment\n', '\n', '# unknown=x\n', 'FROM scratch\n']) {
      expect(parse(`${before}# escape=\`\nFROM scratch`).escape).toBe('\\');
    }
  });

  test.each([
    ['# escape=`\n# escape=`\nFROM scratch', 2],
    ['# escape=x\nFROM scratch', 1],
  ])('%j is refused', (text, line) => {
    expect(faultOf(text).place).toMatchObject({ line });
  });
});

describe('heredocs', () => {
  test('hold what a COPY makes files of', () => {
    const { sources, destination } = meaning(
      'COPY <<a.txt <<-"b.txt" c /app/\n$x\n\ta.txt\na.txt\n\t\tindented $y\n\tb.txt\n# behind it\n',
      'copy',
    );
    expect(sources).toMatchObject([
      { name: 'a.txt', expand: true, chomp: false, content: '$x\n\ta.txt\n', line: 3 },
      { name: 'b.txt', expand: false, chomp: true, content: 'indented $y\n' },
      { text: 'c' },
    ]);
    expect(destination.text).toBe('/app/');
  });

  test('belong to RUN, and to no instruction that can have none', () => {
    const { heredocs, command } = meaning('RUN python3 <<EOF && echo done\nprint(1)\nEOF', 'run');
    expect(heredocs).toMatchObject([{ name: 'EOF', content: 'print(1)\n' }]);
    expect(command).toEqual({ shell: 'python3 <<EOF && echo done' });
    expect(instructions('CMD cat <<EOF\nUSER x')).toHaveLength(2);
    expect(instructions('RUN ["cat", "<<EOF"]\nUSER x')).toHaveLength(2);
    expect(meaning('ONBUILD COPY <<EOF /x\nhello\nEOF', 'onbuild').text).toBe('COPY <<EOF /x\nhello\nEOF');
  });

  test('end', () => {
    const fault = faultOf('FROM scratch\nCOPY <<EOF /x\nhello\n EOF\n');
    expect(fault).toMatchObject({ code: 'dockerfile/syntax', place: { line: 2, column: 6 } });
  });
});

describe('instructions', () => {
  test('have keywords in any case, and stages with names and numbers', () => {
    const { stages, globalArgs } = parse(
      'arg V=1\nfrom a:$V As Build\nUser x\nFROM --platform=linux/arm64 //bank/base:image\n',
    );
    expect(globalArgs[0]!.meaning.args[0]).toMatchObject({ name: { text: 'V' }, value: { text: '1' } });
    expect(stages.map(({ from, index }) => [from.meaning.image.text, from.meaning.stage, index])).toEqual([
      ['a:$V', 'build', 0],
      ['//bank/base:image', undefined, 1],
    ]);
    expect(stages[1]!.from.meaning.platform).toMatchObject({ text: 'linux/arm64' });
  });

  test('ENV and LABEL take pairs, or one name and a value behind a blank', () => {
    const pairs = (text: string) => meaning(text, 'env').pairs.map(({ name, value }) => [name.text, value.text]);
    expect(pairs('ENV a="x y" b=x\\ y c=')).toEqual([
      ['a', '"x y"'],
      ['b', 'x\\ y'],
      ['c', ''],
    ]);
    expect(pairs('ENV a  b=c d')).toEqual([['a', 'b=c d']]);
  });

  test('COPY and ADD have flags, sources and a destination, in both forms', () => {
    const copy = meaning(
      'COPY --from=build --chown=app:app --chmod=u=rwX --exclude=*.md --exclude=x --parents --link a b/ /c/',
      'copy',
    );
    expect(copy.flags).toMatchObject({
      from: { text: 'build' },
      chown: { text: 'app:app' },
      chmod: { text: 'u=rwX' },
      exclude: [{ text: '*.md' }, { text: 'x' }],
      parents: true,
      link: true,
    });
    expect(copy.sources).toMatchObject([{ text: 'a' }, { text: 'b/' }]);
    expect(meaning('ADD ["a b", "/c d/"]', 'add')).toMatchObject({
      sources: [{ text: 'a b' }],
      destination: { text: '/c d/' },
    });
  });

  test('commands are JSON lists or text for a shell; what is nearly JSON is text', () => {
    expect(meaning('CMD [ "a", "b\\n" ]', 'cmd').command).toEqual({ exec: ['a', 'b\n'] });
    expect(meaning("CMD ['a']", 'cmd').command).toEqual({ shell: "['a']" });
    expect(meaning('ENTRYPOINT a   b "c"', 'entrypoint').command).toEqual({ shell: 'a   b "c"' });
    expect(meaning('ENTRYPOINT []', 'entrypoint').command).toEqual({ exec: [] });
    expect(meaning('RUN --mount=type=cache,target=/x --network=none make', 'run')).toMatchObject({
      flags: [{ name: 'mount', value: 'type=cache,target=/x' }, { name: 'network' }],
      command: { shell: 'make' },
    });
  });

  test('HEALTHCHECK', () => {
    const { check } = meaning(
      'HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=5s --retries=3 CMD curl -f x',
      'healthcheck',
    );
    expect(check).toEqual({
      command: { shell: 'curl -f x' },
      interval: 90e9,
      timeout: 0.5e9,
      startPeriod: 5e9,
      startInterval: 0,
      retries: 3,
    });
    expect(meaning('HEALTHCHECK none', 'healthcheck').check.command).toBeUndefined();
    expect(meaning('HEALTHCHECK CMD ["/ok"]', 'healthcheck').check.command).toEqual({ exec: ['/ok'] });
  });
});

describe('what is refused, and where', () => {
  test.each([
    ['', 'dockerfile/empty', undefined, undefined],
    ['# only this\n', 'dockerfile/empty', undefined, undefined],
    ['ARG x\n', 'dockerfile/empty', undefined, undefined],
    ['USER x\nFROM scratch', 'dockerfile/syntax', 1, 1],
    ['FROM scratch\n  CPOY a b', 'dockerfile/unknown-instruction', 2, 3],
    ['FROM a b', 'dockerfile/syntax', 1, 8],
    ['FROM a AS 1x', 'dockerfile/syntax', 1, 11],
    ['FROM --platfrom=x a', 'dockerfile/bad-flag', 1, 6],
    ['FROM scratch\nCOPY a', 'dockerfile/syntax', 2, 6],
    ['FROM scratch\nCOPY --chown a b', 'dockerfile/bad-flag', 2, 6],
    ['FROM scratch\nCOPY --from=a --from=b c d', 'dockerfile/bad-flag', 2, 15],
    ['FROM scratch\nCOPY --link=maybe a b', 'dockerfile/bad-flag', 2, 6],
    ['FROM scratch\nENV a=1 \\\n # x\n   b', 'dockerfile/syntax', 4, 4],
    ['FROM scratch\nENV a', 'dockerfile/syntax', 2, 5],
    ['FROM scratch\nENV =a', 'dockerfile/syntax', 2, 5],
    ['FROM scratch\nLABEL', 'dockerfile/syntax', 2, 1],
    ['FROM scratch\nSHELL /bin/sh', 'dockerfile/syntax', 2, 7],
    ['FROM scratch\nCMD ["a", 1]', 'dockerfile/syntax', 2, 5],
    ['FROM scratch\nVOLUME [""]', 'dockerfile/syntax', 2, 8],
    ['FROM scratch\nHEALTHCHECK curl x', 'dockerfile/syntax', 2, 13],
    ['FROM scratch\nHEALTHCHECK --interval=1 CMD x', 'dockerfile/bad-value', 2, 24],
    ['FROM scratch\nHEALTHCHECK --retries=-1 CMD x', 'dockerfile/bad-value', 2, 23],
    ['FROM scratch\nONBUILD ONBUILD USER x', 'dockerfile/syntax', 2, 9],
    ['FROM scratch\nONBUILD FROM x', 'dockerfile/syntax', 2, 9],
    ['FROM scratch\nUSER --x=y z', 'dockerfile/bad-flag', 2, 6],
  ])('%j', (text, code, line, column) => {
    const fault = faultOf(text);
    expect([fault.code, fault.place?.line, fault.place?.column]).toEqual([code, line, column]);
    expect(fault.place?.file).toBe('bank/Dockerfile');
  });

  test('an error has a frame, and says what was meant', () => {
    expect(renderFault(faultOf('FROM scratch\nCPOY a b\n'))).toBe(
      [
        'error[dockerfile/unknown-instruction]: "CPOY" is not an instruction',
        '  --> bank/Dockerfile:2:1',
        '    1 | FROM scratch',
        '  > 2 | CPOY a b',
        '      | ^^^^',
        '    3 |',
        '  next: did you mean COPY?',
      ].join('\n'),
    );
  });

  test('bytes that are no text, and files of megabytes', () => {
    expect(() => decodeDockerfile('x', Buffer.from([0x46, 0xff]))).toThrow(/UTF-8/);
    expect(faultOf(`FROM scratch\n${'#'.repeat(5_000_000)}`).code).toBe('dockerfile/too-large');
    expect(faultOf(`FROM scratch\n${'USER x\n'.repeat(20_000)}`).code).toBe('dockerfile/too-large');
  });
});

const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'FROM a',
      'FROM a AS b',
      'COPY',
      'ADD',
      'ENV',
      'RUN',
      'CMD',
      'ARG x',
      'LABEL',
      'ONBUILD',
      'HEALTHCHECK',
      'CMD ',
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '\n',
      ' ',
      '\\\n',
      '`\n',
      '# ',
      '<<EOF',
      '<<-"E"',
      'EOF\n',
      '[',
      ']',
      '"',
      "'",
      '=',
      '--',
      '--from=',
      '${',
      '}',
      '$',
      '\t',
      '\r\n',
      '\\',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
);

test('whatever is in a file, it is a Dockerfile or a fault with a place in it', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const text = pieces.join('');
      const lines = text.split('\n');
      try {
        const { stages } = parse(text);
        for (const { line, keyword, keywordWord } of stages.flatMap(({ instructions: each }) => each)) {
          expect(line.text.slice(keywordWord.at).toUpperCase().startsWith(keyword)).toBe(true);
        }
      } catch (error) {
        if (!isFault(error)) throw error;
        expect(error.code).toMatch(/^dockerfile\//);
        if (error.code === 'dockerfile/empty') return;
        const { line = 0, column = 0 } = error.place ?? {};
        expect(line).toBeGreaterThanOrEqual(1);
        expect(line).toBeLessThanOrEqual(lines.length);
        expect(column).toBeGreaterThanOrEqual(1);
      }
    }),
    { numRuns: 1500 },
  );
});

test('an instruction means the same however it is spread over lines', () => {
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9./_-]{0,7}$/);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(2)),
      (pairs, breaks) => {
        const between = (index: number) => [' ', ' \\\n', ' \\\n# comment\n\t'][breaks[index] ?? 0] ?? ' ';
        const text = pairs.map(([name, value], index) => `${between(index)}${name}=${value}`).join('');
        const found = meaning(`ENV${text}`, 'env').pairs.map(({ name, value }) => [name.text, value.text]);
        expect(found).toEqual(pairs);
      },
    ),
    { numRuns: 200 },
  );
});
