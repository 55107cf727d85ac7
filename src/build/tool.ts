import { createHash } from 'node:crypto';
import { access, constants, mkdir, readFile, realpath, stat } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { cacheFolder, writeAtomically } from '../disk/index.ts';
import { hashFile } from './blobs.ts';
import { BuildFault } from './fault.ts';

/** A program of the system that actions use. */
export interface Tool {
  readonly name: string;
  /** Absolute, as it is found on the PATH. */
  readonly path: string;
  /** Absolute, symbolic links followed. */
  readonly realPath: string;
  /** Names the program's content: part of the key of each action that uses it. */
  readonly identity: string;
}

/** Where actions find programs that they do not declare: the same on each machine. */
export const fixedPath = '/usr/local/bin:/usr/bin:/bin';

/** What to install for programs that rules use. */
const packages: Readonly<Record<string, string>> = {
  bash: 'bash',
  cc: 'gcc',
  java: 'openjdk-17-jdk-headless',
  javac: 'openjdk-17-jdk-headless',
  mvn: 'maven',
  npm: 'npm',
  patch: 'patch',
  'pkg-config': 'pkg-config',
  python3: 'python3',
};

const found = new Map<string, Promise<Tool>>();

/**
 * Finds a program of the system: first on the fixed PATH of actions, then (compilers such as `go` live in unusual
 * places) on the user's own.
 *
 * @throws BuildFault build/tool-not-found with what to install
 */
export function resolveTool(name: string): Promise<Tool> {
  // PATH is part of the question, so that a test can ask with another.
  const question = `${name}\n${process.env.PATH ?? ''}`;
  let answer = found.get(question);
  if (answer === undefined) {
    answer = find(name);
    found.set(question, answer);
    answer.catch(() => found.delete(question));
  }
  return answer;
}

async function find(name: string): Promise<Tool> {
  const folders = isAbsolute(name) ? [''] : [...fixedPath.split(':'), ...(process.env.PATH ?? '').split(delimiter)];
  for (const folder of folders) {
    if (folder !== '' && !isAbsolute(folder)) continue;
    const path = join(folder, name);
    if (!(await isProgram(path))) continue;
    const realPath = await realpath(path);
    return { name, path, realPath, identity: await identify(name, realPath) };
  }
  const next =
    name === 'go'
      ? 'install Go and put it on the PATH'
      : packages[name] !== undefined
        ? `install it: script/bootstrap does, or apt-get install ${packages[name]}`
        : `install ${name}, or make it a target and name its label`;
  throw new BuildFault('build/tool-not-found', `the program ${name} is not installed`, { next });
}

async function isProgram(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) return false;
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * A launcher's bytes say little: `java` and `go` are the same for many versions of what they start. The file that names
 * the version of such a tool is part of its identity. Relative to the folder of the program.
 */
const versionFiles: Readonly<Record<string, string>> = {
  go: '../VERSION',
  java: '../release',
  javac: '../release',
  jar: '../release',
};

async function identify(name: string, realPath: string): Promise<string> {
  const file = versionFiles[name];
  const version = file === undefined ? '' : await readFile(join(dirname(realPath), file), 'utf8').catch(() => '');
  const sum = await programSum(realPath);
  const text = version === '' ? '' : ` ${createHash('sha256').update(version).digest('hex').slice(0, 16)}`;
  return `${name} ${sum}${text}`;
}

/** Sums of programs by path, with the state of the file that they hold for. */
type Sums = Record<string, { readonly state: string; readonly sha256: string }>;

const sumsFile = () => cacheFolder('build', 'programs.json');
let sums: Sums | undefined;

async function programSum(path: string): Promise<string> {
  const info = await stat(path, { bigint: true });
  const state = `${info.dev} ${info.ino} ${info.size} ${info.mtimeNs} ${info.ctimeNs}`;
  sums ??= await readSums();
  const known = sums[path];
  if (known?.state === state) return known.sha256;
  const sha256 = await hashFile(path);
  sums = { ...sums, [path]: { state, sha256 } };
  await mkdir(dirname(sumsFile()), { recursive: true });
  await writeAtomically(sumsFile(), JSON.stringify(sums)).catch(() => {
    // A cache folder that can't be written to makes its own error where it matters.
  });
  return sha256;
}

async function readSums(): Promise<Sums> {
  try {
    const value: unknown = JSON.parse(await readFile(sumsFile(), 'utf8'));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(
      Object.entries(value as Record<string, unknown>).filter(
        (entry): entry is [string, Sums[string]] =>
          typeof (entry[1] as Sums[string] | null)?.state === 'string' &&
          /^[0-9a-f]{64}$/.test(String((entry[1] as Sums[string] | null)?.sha256)),
      ),
    );
  } catch {
    return {};
  }
}
