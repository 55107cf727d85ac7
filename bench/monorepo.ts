/**
 * Makes a monorepo with a seed: the same seed and size give the same bytes. `node bench/monorepo.ts FOLDER [TARGETS] [SEED]`.
 *
 * Ten targets and twenty files in each package: libraries of two sources each that depend on libraries of packages before
 * them, a generated source, a filegroup, a test with data, and build_defs that every tenth package includes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Monorepo {
  readonly packages: number;
  readonly targets: number;
  readonly files: number;
}

/** Packages in a folder of folders, so that no folder gets very large. */
const packagesInGroup = 100;
const libraries = 6;

/** Pseudo-random numbers in [0, 1) that are the same on every machine (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const packageAt = (index: number) => `group${Math.floor(index / packagesInGroup)}/package${index}`;

/** @param targets a multiple of ten */
export function makeMonorepo(folder: string, targets: number, seed: number): Monorepo {
  const random = randomNumbers(seed);
  const packages = targets / 10;
  let files = 0;
  const write = (path: string, text: string) => {
    writeFileSync(join(folder, path), text);
    files++;
  };
  mkdirSync(join(folder, 'defs'), { recursive: true });
  write('banksman.yaml', 'name: made\nconfig: { level: 2 }\n');
  write('defs/BUILD', '');
  write(
    'defs/service.build_defs',
    `def service(name:str, srcs:list, deps:list=[]):
    genrule(
        name = name,
        srcs = srcs,
        outs = [name + ".bin"],
        cmd = " && ".join(["cat $SRCS > $OUT", f"echo {name} >> $OUT"]),
        deps = deps,
        labels = ["service"],
        visibility = ["PUBLIC"],
    )
`,
  );
  for (let index = 0; index < packages; index++) {
    const path = packageAt(index);
    mkdirSync(join(folder, path), { recursive: true });
    const lines = [`# Package ${index}.`];
    const included = index % 10 === 0;
    if (included) lines.push('subinclude("//defs:service.build_defs")');
    for (let library = 0; library < libraries; library++) {
      const deps: string[] = [];
      // Near ones mostly, as in life; a dependency always points to an earlier library, so that there is no circle.
      for (let count = Math.floor(random() * 4); count > 0 && index > 0; count--) {
        const distance = 1 + Math.floor(random() ** 3 * Math.min(index, 500));
        deps.push(`"//${packageAt(index - distance)}:lib${Math.floor(random() * libraries)}"`);
      }
      if (library > 0 && random() < 0.5) deps.push(`":lib${Math.floor(random() * library)}"`);
      lines.push(`
genrule(
    name = "lib${library}",
    srcs = ["lib${library}.txt", "lib${library}_more.txt"],
    outs = ["lib${library}.out"],
    cmd = "cat $SRCS > $OUT",
    deps = [${[...new Set(deps)].join(', ')}],
    labels = ["lib"],
    visibility = ["PUBLIC"],
)`);
      for (const suffix of ['', '_more']) {
        write(`${path}/lib${library}${suffix}.txt`, `${index} ${library}${suffix} ${random()}\n`);
      }
    }
    lines.push(`
genrule(
    name = "generated",
    srcs = ["template.txt"],
    outs = ["generated.txt"],
    cmd = "sed s/x/y/ $SRCS > $OUT",
)

filegroup(
    name = "resources",
    srcs = glob(["*.res"]) + [":generated"],
)

gentest(
    name = "test",
    test_cmd = "test -s $DATA",
    data = ["test.dat", ":resources"],
    no_test_output = True,
)
`);
    lines.push(
      included
        ? 'service(name = "program", srcs = ["main.txt"], deps = [":lib0"])'
        : 'genrule(\n    name = "program",\n    srcs = ["main.txt"],\n    outs = ["program.bin"],\n    cmd = "cat $SRCS > $OUT",\n    deps = [":lib0", ":lib1"],\n)',
    );
    write(`${path}/BUILD`, `${lines.join('\n')}\n`);
    for (const name of ['template.txt', 'a.res', 'b.res', 'c.res', 'test.dat', 'main.txt', 'README.md']) {
      write(`${path}/${name}`, `${name} of ${index} ${random()}\n`);
    }
  }
  return { packages: packages + 1, targets, files };
}

/** Makes a git repository of a folder. @returns the commit's id */
export function commitAll(folder: string, message: string): string {
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Bench', '-c', 'user.email=bench@example.invalid', ...args], {
      cwd: folder,
      encoding: 'utf8',
    }).trim();
  git('init', '--quiet', '--initial-branch=main');
  git('add', '--all');
  git('commit', '--quiet', '--message', message);
  return git('rev-parse', 'HEAD');
}

if (import.meta.main) {
  const [folder, targets = '100000', seed = '1'] = process.argv.slice(2);
  if (folder === undefined) throw new Error('usage: node bench/monorepo.ts FOLDER [TARGETS] [SEED]');
  mkdirSync(folder, { recursive: true });
  console.log(makeMonorepo(folder, Number(targets), Number(seed)));
  console.log(commitAll(folder, 'made'));
}
