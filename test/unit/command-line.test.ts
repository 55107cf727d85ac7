import { afterEach, describe, expect, it } from 'vitest';
import { banksman, makeWorkspace } from '../e2e/workspace.ts';

const made: { remove(): Promise<void> }[] = [];
async function workspace(files: Readonly<Record<string, string>>): Promise<string> {
  const created = await makeWorkspace(files);
  made.push(created);
  return created.root;
}
afterEach(async () => {
  for (const { remove } of made.splice(0)) await remove();
});

describe('wrong use ends with exit code 2 and says what to do', () => {
  it.each([
    ['an unknown command, with the nearest one', ['deplyo'], "did you mean 'banksman deploy'?"],
    ['an unknown option', ['up', '--nmae', 'x'], 'unknown option'],
    ['a missing argument', ['render'], 'missing required argument'],
    ['a missing option', ['query', 'affected'], '--since'],
    ['a port that is none', ['up', '--api-port', '70000'], '1 to 65535'],
    ['a deadline that is none', ['deploy', '--deadline', 'soon'], 'whole seconds'],
    ['a cluster and a context', ['status', '--cluster', 'a', '--context', 'b'], 'exclude each other'],
  ])('%s', async (_, args, text) => {
    const outcome = await banksman(await workspace({ 'banksman.yaml': 'name: x\n' }), args);
    expect(outcome.stderr).toContain(text);
    expect(outcome.stderr).toContain('error[cli/');
    expect(outcome.stdout).toBe('');
    expect(outcome.code).toBe(2);
  });
});

describe('help', () => {
  it('goes to standard output with exit code 0, and teaches with examples', async () => {
    const outcome = await banksman(await workspace({}), ['--help']);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toContain('Examples:');
  });

  it.each([
    'up',
    'down',
    'status',
    'build',
    'test',
    'run',
    'query',
    'image',
    'mirror',
    'registry',
    'render',
    'release',
    'deploy',
    'rollback',
    'verify',
    'keys',
    'review',
    'history',
    'logs',
    'audit',
    'server',
    'why',
    'promote',
    'approve',
    'hold',
    'train',
    'diff',
    'bisect',
    'holds',
    'lift',
    'rollouts',
    'cancel',
    'environments',
    'lock',
    'completion',
  ])('of %s has examples', async (command) => {
    const outcome = await banksman(await workspace({}), [command, '--help']);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toContain('Examples:');
  });
});

describe('help of queries', () => {
  it.each([
    'targets',
    'deps',
    'revdeps',
    'somepath',
    'whatinputs',
    'whatoutputs',
    'print',
    'graph',
    'affected',
    'explain',
  ])('of %s has examples', async (query) => {
    const outcome = await banksman(await workspace({}), ['query', query, '--help']);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toContain(`Examples:\n  banksman query ${query} `);
  });
});

describe('a workspace', () => {
  it('is a folder with banksman.yaml that holds a name', async () => {
    const root = await workspace({
      'banksman.yaml': 'name: x\n',
      'a/BUILD': 'filegroup(name = "b", srcs = ["c.txt"])\n',
      'a/c.txt': '',
    });
    const outcome = await banksman(root, ['query', 'targets', '//...', '--json']);
    expect(outcome.stderr).toBe('');
    expect(JSON.parse(outcome.stdout)).toEqual(['//a:b']);
  });

  it('is asked for where there is none', async () => {
    const outcome = await banksman(await workspace({}), ['query', 'targets', '//...']);
    expect(outcome.stderr).toContain('banksman.yaml');
    expect(outcome.code).toBe(1);
  });

  it('is found from a folder below, where relative labels are read', async () => {
    const root = await workspace({
      'banksman.yaml': 'name: x\n',
      'a/BUILD': 'filegroup(name = "b", srcs = ["c.txt"])\n',
      'a/c.txt': '',
    });
    const outcome = await banksman(`${root}/a`, ['query', 'targets', ':b']);
    expect(outcome).toMatchObject({ code: 0, stdout: '//a:b\n' });
  });
});

describe('queries', () => {
  const files = {
    'banksman.yaml': 'name: x\n',
    'a/BUILD':
      'genrule(name = "b", srcs = ["c.txt"], outs = ["o.txt"], cmd = "cp $SRCS $OUT", labels = ["red"], visibility = ["PUBLIC"])\nfilegroup(name = "d", srcs = [":b"], visibility = ["PUBLIC"])\n',
    'a/c.txt': '',
    'e/BUILD': 'genrule(name = "f", srcs = ["//a:d"], outs = ["p"], cmd = "cp $SRCS $OUT", labels = ["red", "blue"])\n',
  };
  it.each([
    [['deps', '//e:f'], '//a:b\n//a:d\n'],
    [['deps', '//e:f', '--levels', '1'], '//a:d\n'],
    [['revdeps', '//a:b', '--levels', '1'], '//a:d\n'],
    [['revdeps', '//a:b', '--include', 'red'], '//e:f\n'],
    [['targets', '//...', '--include', 'red,blue'], '//e:f\n'],
    [['targets', '//...', '--exclude', 'blue', '--exclude', 'green'], '//a:b\n//a:d\n'],
    [['somepath', '//e:f', '//a:b'], '//e:f\n//a:d\n//a:b\n'],
    [['whatinputs', 'a/c.txt'], '//a:b\n'],
    [['whatoutputs', 'banksman-out/gen/a/o.txt', 'e/p'], '//a:b\n//a:d\n//e:f\n'],
    [['graph'], '//a:d -> //a:b\n//e:f -> //a:d\n'],
  ])('%j', async (args, stdout) => {
    const outcome = await banksman(await workspace(files), ['query', ...args]);
    expect(outcome).toEqual({ code: 0, stderr: '', stdout });
  });

  it('whatoutputs says of a file that nothing makes it', async () => {
    const outcome = await banksman(await workspace(files), ['query', 'whatoutputs', 'a/nothing']);
    expect(outcome).toEqual({ code: 0, stderr: 'note: no target makes a/nothing\n', stdout: '' });
  });

  it('graph --json is the whole graph for other programs', async () => {
    const outcome = await banksman(await workspace(files), ['query', 'graph', '--json', '--hashes']);
    const { targets } = JSON.parse(outcome.stdout) as { targets: object[] };
    expect(targets).toMatchObject([
      { label: '//a:b', rule: 'genrule', inputs: ['a/c.txt'], outputs: ['a/o.txt'], dependencies: [] },
      { label: '//a:d', rule: 'filegroup', dependencies: ['//a:b'] },
      { label: '//e:f', labels: ['red', 'blue'], hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
  });

  describe('over a workspace with errors', () => {
    const broken = {
      ...files,
      'e/BUILD': `${files['e/BUILD']}genrule(name = "g", cmd = "", deps = ["//syntax:x", "//name:x", ":h"])\ngenrule(name = "h", cmd = "", srcs = ["none.txt"])\n`,
      'name/BUILD': 'nothing_is_named_so()',
      'syntax/BUILD': '(',
    };
    it('all of them are told at once, whatever is wrong where', async () => {
      const outcome = await banksman(await workspace(broken), ['query', 'targets', '//...']);
      expect(outcome).toMatchObject({ code: 1, stdout: '' });
      for (const words of ['e/BUILD:3:', 'name/BUILD:1:', 'syntax/BUILD:1:']) expect(outcome.stderr).toContain(words);
    });

    it.each([
      [['targets', '//...'], '//a:b\n//a:d\n//e:f\n//e:g\n//e:h\n'],
      [['targets', '//a:b', '//syntax:all'], '//a:b\n'],
      [['deps', '//e:g'], '//e:h\n'],
      [['revdeps', '//e:h'], '//e:g\n'],
      [['somepath', '//e:g', '//e:h'], '//e:g\n//e:h\n'],
      [['somepath', '//e:h', '//e:g'], ''],
      [['whatinputs', 'e/none.txt'], '//e:h\n'],
      [['whatoutputs', 'e/p'], '//e:f\n'],
      [['graph', '//e:g'], '//e:g -> //syntax:x\n//e:g -> //name:x\n//e:g -> //e:h\n'],
    ])('%j -k answers over what could be loaded, says so and ends with 3', async (args, stdout) => {
      const outcome = await banksman(await workspace(broken), ['query', ...args, '-k']);
      expect(outcome).toMatchObject({ code: 3, stdout });
      expect(outcome.stderr).toContain('syntax/BUILD:1:');
      expect(outcome.stderr).toContain('note: the answer is over what could be loaded');
    });

    it('no errors are no reason for another exit code, and hashes are of a whole graph', async () => {
      const root = await workspace(files);
      expect(await banksman(root, ['query', 'deps', '//e:f', '--keep-going'])).toMatchObject({ code: 0, stderr: '' });
      expect(await banksman(root, ['query', 'graph', '-k', '--hashes'])).toMatchObject({ code: 2, stdout: '' });
    });
  });

  it('somepath ends with exit code 1 where there is no path', async () => {
    const outcome = await banksman(await workspace(files), ['query', 'somepath', '//a:b', '//e:f']);
    expect(outcome).toMatchObject({ code: 1, stdout: '', stderr: '//a:b does not depend on //e:f\n' });
  });
});

describe('completion', () => {
  const complete = async (root: string, line: string) =>
    (await banksman(root, ['completion', '--line', line])).stdout.split('\n').slice(0, -1);

  it('goes on with commands, queries, folders and names of targets', async () => {
    const root = await workspace({
      'banksman.yaml': 'name: x\n',
      'a/b/BUILD': 'filegroup(name = "one", srcs = [])\nfilegroup(name = "other", srcs = [])\n',
      'a/wrong/BUILD': 'x = [\n',
      'no-packages/x': '',
    });
    expect(await complete(root, 'banksman rollb')).toEqual(['rollback']);
    expect(await complete(root, 'banksman query what')).toEqual(['whatinputs', 'whatoutputs']);
    expect(await complete(root, 'banksman build //')).toEqual(['//a/']);
    expect(await complete(root, 'banksman build //a/')).toEqual(['//a/b:', '//a/wrong:']);
    expect(await complete(root, 'banksman build -k //a/b:o')).toEqual(['//a/b:one', '//a/b:other']);
    expect(await complete(`${root}/a/b`, 'banksman build :on')).toEqual([':one']);
    expect(await complete(root, 'banksman build //a/wrong:')).toEqual([]);
  });
});

describe('errors of a BUILD file', () => {
  it.each([
    ['a syntax error', 'filegroup(name = "a"\n', 'a/BUILD:'],
    ['an unknown function', 'go_libary(name = "a")\n', 'go_library'],
    ['an unknown argument', 'filegroup(nmae = "a")\n', 'name'],
    ['a wrong type', 'filegroup(name = 3)\n', 'name'],
    ['a missing file', 'filegroup(name = "a", srcs = ["none.txt"])\n', 'none.txt'],
    ['a missing target', 'filegroup(name = "a", srcs = ["//none:x"])\n', '//none:x'],
    ['a cycle', 'filegroup(name = "a", srcs = [":b"])\nfilegroup(name = "b", srcs = [":a"])\n', '//a:b'],
    ['a name used twice', 'filegroup(name = "a")\nfilegroup(name = "a")\n', 'a/BUILD:2'],
  ])('%s: where, and what', async (_, source, text) => {
    const outcome = await banksman(await workspace({ 'banksman.yaml': 'name: x\n', 'a/BUILD': source }), [
      'query',
      'targets',
      '//...',
    ]);
    expect(outcome.stderr).toContain(text);
    expect(outcome.stderr).toMatch(/error\[(language|graph)\//);
    expect(outcome.stderr).toContain('a/BUILD:');
    expect(outcome.stdout).toBe('');
    expect(outcome.code).toBe(1);
  });

  it('are JSON on standard error where JSON was asked for', async () => {
    const root = await workspace({ 'banksman.yaml': 'name: x\n', 'a/BUILD': 'x = (\n' });
    const outcome = await banksman(root, ['query', 'targets', '//...', '--json']);
    expect(JSON.parse(outcome.stderr)).toMatchObject({ error: { place: { file: 'a/BUILD' } } });
    expect(outcome.code).toBe(1);
  });
});

describe('errors of a manifest', () => {
  const build = (containers: string) =>
    `docker_image(name = "image", files = {"/x": "x.txt"}, entrypoint = ["/x"])\nk8s_config(name = "a", srcs = ["a.yaml"], containers = [${containers}])\n`;
  const pod = (image: string) =>
    `apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: a\n    image: ${image}\n`;

  it.each([
    ['a label that no target has', build('":image"'), pod('//a:imgae'), '//a:imgae'],
    ['a label that containers does not list', build(''), pod('//a:image'), 'containers'],
    ['an image that floats', build('":image"'), pod('nginx'), 'nginx'],
    ['no kind', build('":image"'), 'apiVersion: v1\nmetadata:\n  name: a\n', 'kind'],
    ['YAML that is none', build('":image"'), 'a: [\n', 'a/a.yaml'],
    ['an empty file', build('":image"'), '', 'a/a.yaml'],
  ])('%s: where, and what', async (_, source, manifest, text) => {
    const root = await workspace({
      'banksman.yaml': 'name: x\n',
      'a/BUILD': source,
      'a/a.yaml': manifest,
      'a/x.txt': 'x',
    });
    const outcome = await banksman(root, ['render', '//a']);
    expect(outcome.stderr).toContain(text);
    expect(outcome.stderr).toContain('a/a.yaml');
    expect(outcome.stderr).toMatch(/error\[manifest\//);
    expect(outcome.stdout).toBe('');
    expect(outcome.code).toBe(1);
  });

  it('renders exactly the image nodes, and keeps comments', async () => {
    const manifest = `# image: //a:image stays in a comment\n${pod('//a:image # ours')}`;
    const root = await workspace({
      'banksman.yaml': 'name: x\n',
      'a/BUILD': build('":image"'),
      'a/a.yaml': manifest,
      'a/x.txt': 'x',
    });
    const outcome = await banksman(root, ['render', '//a', '--env', 'dev']);
    expect(outcome.stderr).toBe('');
    const { stdout } = await banksman(root, ['image', 'ls', '--json']);
    const [image] = JSON.parse(stdout) as { label: string; tag: string; digest: string }[];
    expect(image).toMatchObject({
      label: '//a:image',
      tag: expect.stringMatching(/^[0-9a-f]{12}$/),
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    expect(outcome.stdout).toContain('# image: //a:image stays in a comment\n');
    expect(outcome.stdout).toContain(`    image: registry.local/a:${image?.tag} # ours\n`);
  });
});
