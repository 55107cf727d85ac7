import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { createBuilder } from '../../src/build/index.ts';
import { affectedSince, type Label, loadGraph, openWorkspace } from '../../src/graph/index.ts';
import { silent } from '../../src/progress/index.ts';
import { ruleFiles } from '../../src/rules/index.ts';

/** A repository as a test can think of it; `render` makes files of it. */
interface Model {
  readonly packages: {
    readonly files: Map<string, { content: string; executable: boolean }>;
    link: number;
    comment: number;
    readonly targets: {
      readonly kind: (typeof kinds)[number];
      readonly srcs: readonly number[];
      readonly deps: readonly number[];
      mark: number;
    }[];
  }[];
  macro: number;
  config: number;
}

const kinds = [
  'genrule',
  'glob',
  'filegroup',
  'macro',
  'config',
  'link',
  'output_dirs',
  'post_build',
  'open post_build',
] as const;
const names = ['a.txt', 'b.txt', 'c.txt', 'd.txt'];

const models = fc
  .record({
    macro: fc.nat(3),
    config: fc.nat(3),
    packages: fc.array(
      fc.record({
        files: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 }),
        link: fc.nat(3),
        targets: fc.array(
          fc.record({
            kind: fc.constantFrom(...kinds),
            srcs: fc.array(fc.nat(3), { maxLength: 2 }),
            deps: fc.array(fc.nat(9), { maxLength: 2 }),
            mark: fc.nat(3),
          }),
          { minLength: 1, maxLength: 3 },
        ),
      }),
      { minLength: 2, maxLength: 3 },
    ),
  })
  .map(
    ({ packages, ...rest }): Model => ({
      ...rest,
      packages: packages.map(({ files, ...each }) => ({
        ...each,
        comment: 0,
        files: new Map(files.map((name) => [name, { content: name, executable: false }])),
      })),
    }),
  );

const edits = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'content',
      'empty',
      'mode',
      'add',
      'remove',
      'rename',
      'retarget',
      'mark',
      'comment',
      'macro',
      'config',
      'new target',
      'target gone',
    ),
    package: fc.nat(5),
    at: fc.nat(9),
  }),
  { minLength: 1, maxLength: 3 },
);
type Edit = typeof edits extends fc.Arbitrary<(infer One)[]> ? One : never;

function apply(model: Model, { kind, package: packageAt, at }: Edit): void {
  const one = model.packages[packageAt % model.packages.length]!;
  const present = [...one.files.keys()].sort();
  const name = present[at % present.length]!;
  const target = one.targets[at % one.targets.length];
  const file = one.files.get(name)!;
  switch (kind) {
    case 'content':
      file.content += `+${at}`;
      break;
    case 'empty':
      file.content = '';
      break;
    case 'mode':
      file.executable = !file.executable;
      break;
    case 'add':
      one.files.set(names[at % names.length]!, { content: `new ${at}`, executable: false });
      break;
    case 'remove':
      if (present.length > 1) one.files.delete(name);
      break;
    case 'rename':
      one.files.delete(name);
      one.files.set(names[at % names.length]!, file);
      break;
    case 'retarget':
      one.link++;
      break;
    case 'mark':
      if (target !== undefined) target.mark++;
      break;
    case 'comment':
      one.comment++;
      break;
    case 'macro':
      model.macro++;
      break;
    case 'config':
      model.config++;
      break;
    case 'new target':
      one.targets.push({ kind: 'glob', srcs: [], deps: [], mark: at });
      break;
    case 'target gone':
      if (one.targets.length > 1) one.targets.pop();
      break;
  }
}

/** Shows in the output all that an action sees of its sources. */
const show = '; for f in $SRCS; do echo $f; test -x $f && echo executable; cat $f; done >> $OUT; true';

/** Functions that follow actions: one adds outputs, the other makes a target, and dependencies on it. */
const callbacks = `
def _add(ending):
    def _after(name, output):
        for line in output:
            add_out(name, line + ending)
    return _after

def _make(user):
    def _after(name, output):
        genrule(name = user + "_made", srcs = [output[0]], outs = [user + ".made"], cmd = "cp $SRC $OUT")
        add_dep(user, ":" + user + "_made")
        set_command(user, get_command(user) + "; cat $PKG_DIR/" + user + ".made >> $OUT")
    return _after
`;

/** Files by path; `link:` for a symbolic link. */
function render(model: Model): Map<string, { content: string; executable: boolean }> {
  const files = new Map<string, { content: string; executable: boolean }>();
  const write = (path: string, content: string, executable = false) => files.set(path, { content, executable });
  write('banksman.yaml', `name: made\nconfig: { level: ${model.config} }\n`);
  write(
    'defs.build_defs',
    `def macro(name, srcs, word):
    genrule(name = name, srcs = srcs, outs = [name], cmd = f"echo macro ${model.macro} {word} > $OUT${show}", visibility = ["PUBLIC"])
`,
  );
  const earlier: string[] = [];
  model.packages.forEach((one, packageAt) => {
    const path = `p${packageAt}`;
    // Names of their own: a filegroup has files of other packages beside those of its own.
    const own = (name: string) => `${path}.${name}`;
    const present = [...one.files.keys()].sort().map(own);
    for (const [name, { content, executable }] of one.files) write(`${path}/${own(name)}`, content, executable);
    write(`${path}/link`, `link:${present[one.link % present.length]}`);
    const lines = [`# comment ${one.comment}`, 'subinclude("//:defs.build_defs")', callbacks];
    one.targets.forEach(({ kind, srcs, deps, mark }, targetAt) => {
      const name = `t${packageAt}${targetAt}`;
      const labels = earlier.length === 0 ? [] : deps.map((dep) => earlier[dep % earlier.length]!);
      const sources = JSON.stringify([...new Set([...srcs.map((each) => present[each % present.length]!), ...labels])]);
      const rule = (from: string, word: string) =>
        `genrule(name = "${name}", srcs = ${from}, outs = ["${name}"], cmd = "echo ${word} > $OUT${show}", visibility = ["PUBLIC"])`;
      lines.push(
        {
          genrule: rule(sources, `mark ${mark}`),
          glob: rule(`glob(["*.txt"]) + ${JSON.stringify([...new Set(labels)])}`, `mark ${mark}`),
          link: rule('["link"]', `mark ${mark}`),
          filegroup: `filegroup(name = "${name}", srcs = ${sources}, visibility = ["PUBLIC"])`,
          macro: `macro("${name}", ${sources}, "${mark}")`,
          config: rule(sources, `mark ${mark} level " + str(CONFIG.LEVEL) + "`),
          output_dirs: `genrule(name = "${name}", srcs = ${sources}, outs = ["${name}"], output_dirs = ["_out/**"], visibility = ["PUBLIC"],
    cmd = "mkdir -p _out/d; echo ${mark} > _out/d/${name}.${mark}; echo > $OUT${show}")`,
          post_build: `genrule(name = "${name}", srcs = ${sources}, outs = ["${name}"], visibility = ["PUBLIC"], post_build = _add("${mark}"),
    cmd = "echo > $OUT${show}; echo > $OUT.0${mark}; echo ${name}.0")`,
          'open post_build': `genrule(name = "${name}_list", outs = ["${name}.list"], cmd = "echo ${present[0]} | tee $OUT", post_build = _make("${name}"))
genrule(name = "${name}", srcs = ${sources}, deps = [":${name}_list"], outs = ["${name}"], visibility = ["PUBLIC"],
    cmd = "echo ${mark} > $OUT${show}")`,
        }[kind],
      );
      earlier.push(`//${path}:${name}`);
    });
    write(`${path}/BUILD`, `${lines.join('\n')}\n`);
  });
  return files;
}

class Repository {
  readonly base = mkdtempSync(join(tmpdir(), 'banksman-truth-'));
  readonly root = join(this.base, 'work');

  git(...args: string[]): string {
    const options = ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid', ...args];
    return execFileSync('git', options, { cwd: this.root, encoding: 'utf8' }).trim();
  }

  /** Puts a model in place of what was there. */
  write(model: Model): void {
    mkdirSync(this.root, { recursive: true });
    for (const { path } of this.tracked()) rmSync(join(this.root, path), { force: true });
    for (const [path, { content, executable }] of render(model)) {
      const full = join(this.root, path);
      mkdirSync(dirname(full), { recursive: true });
      if (content.startsWith('link:')) symlinkSync(content.slice(5), full);
      else writeFileSync(full, content);
      if (executable) chmodSync(full, 0o755);
    }
  }

  private tracked(): { path: string }[] {
    try {
      return this.git('ls-files')
        .split('\n')
        .filter((path) => path !== '')
        .map((path) => ({ path }));
    } catch {
      return [];
    }
  }

  commit(): void {
    this.git('add', '--all');
    this.git('commit', '--quiet', '--allow-empty', '--message', 'x');
  }

  /** What each target makes of the work tree, with nothing known from before. */
  async buildFromScratch(side: string): Promise<Map<Label, string>> {
    const graph = await loadGraph(await openWorkspace(this.root), { ruleFiles: ruleFiles() });
    const builder = createBuilder({
      graph,
      builtins: {},
      progress: silent,
      cacheFolder: join(this.base, side, 'cache'),
      outputRoot: join(this.base, side, 'out'),
    });
    const { targets } = await builder.build([...graph.targets.keys()]);
    return new Map(
      [...targets].map(([label, { outputs }]) => [
        label,
        JSON.stringify(outputs.map(({ path, kind, sha256, executable }) => [path, kind, sha256, executable])),
      ]),
    );
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

const runs = Number(process.env.BANKSMAN_TRUTH_RUNS ?? 10);

it('affected is what really comes out otherwise when both sides are built from scratch', {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(models, edits, async (model, changes) => {
      const repository = new Repository();
      try {
        mkdirSync(repository.root, { recursive: true });
        repository.git('init', '--quiet', '--initial-branch=main');
        repository.write(model);
        repository.commit();
        const before = await repository.buildFromScratch('before');
        const edited = structuredClone(model);
        for (const change of changes) apply(edited, change);
        repository.write(edited);
        const after = await repository.buildFromScratch('after');
        const truth = [...after.keys()].filter((label) => before.get(label) !== after.get(label)).sort();
        const workspace = await openWorkspace(repository.root);
        process.env.BANKSMAN_CACHE = join(repository.base, 'graphs');
        const kept = { ruleFiles: ruleFiles(), cache: { minimumIndex: 0 } };
        const dirty = await affectedSince(workspace, { ruleFiles: ruleFiles(), since: 'HEAD' });
        repository.commit();
        const committed = await affectedSince(workspace, { ruleFiles: ruleFiles(), since: 'HEAD~1', to: 'HEAD' });
        expect(committed.targets).toEqual(dirty.targets);
        // With kept graphs: of both sides, and when they were kept in the other form.
        for (const to of [undefined, 'HEAD', undefined]) {
          const again = await affectedSince(workspace, { ...kept, since: 'HEAD~1', to });
          expect(again.targets).toEqual(dirty.targets);
        }
        // A link that leads elsewhere counts, although an action sees only the content behind it; and what a function leads to is
        // only known once all is built.
        const isOpen = edited.packages.some(({ targets }) => targets.some(({ kind }) => kind === 'open post_build'));
        if (isOpen || changes.some(({ kind }) => kind === 'retarget'))
          expect(dirty.targets).toEqual(expect.arrayContaining(truth));
        else expect(dirty.targets).toEqual(truth);
      } finally {
        delete process.env.BANKSMAN_CACHE;
        repository.remove();
      }
    }),
    { numRuns: runs },
  );
});
