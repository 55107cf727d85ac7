import { createReadStream } from 'node:fs';
import { access, constants, readFile, stat } from 'node:fs/promises';
import type { Target } from '../graph/index.ts';
import { BuildFault } from './fault.ts';
import { type Shown, shownFile } from './sandbox.ts';
import { systemPath } from './system-file.ts';

/** Secrets that an action may read while it runs. */
export interface OpenSecrets {
  /** Files and folders that its sandbox shows. @param root where the command sees its scratch folder */
  shown(root: string): Shown[];
  /** `$SECRETS`, and `$SECRETS_X` for each group. */
  env(root: string): Record<string, string>;
  /** A text in which none of the secrets can be read. */
  hide(text: string): string;
  /** Whether a file holds the whole of a secret. */
  isIn(file: string): Promise<boolean>;
}

/** Shorter ones are found in too much that is none. UTF-16 code units. */
const shortest = 6;
/** Bytes of a file whose text is hidden: keys and tokens are smaller. */
const largest = 1024 * 1024;

/**
 * @returns undefined where the target has none
 * @throws BuildFault build/missing-secret
 */
export async function openSecrets(target: Target): Promise<OpenSecrets | undefined> {
  const { secrets } = target;
  if (secrets === undefined) return undefined;
  const whole: Buffer[] = [];
  const texts = new Set<string>();
  for (const path of secrets.all) {
    const absolute = systemPath(path);
    const info = await readable(path, absolute, target);
    if (!info.isFile() || info.size > largest) continue;
    const bytes = await readFile(absolute);
    const text = bytes.toString('utf8').trim();
    if (text.length >= shortest) whole.push(Buffer.from(text));
    for (const line of text.split('\n').map((each) => each.trim())) {
      // Files of settings: the value is what is secret.
      for (const part of [line, /^[\w.-]+\s*[=:]\s*(.+)$/.exec(line)?.[1]?.replace(/^(["'])(.*)\1$/, '$2')]) {
        if (part !== undefined && part.length >= shortest) texts.add(part);
      }
    }
  }
  // Longer ones first: one may be a part of another.
  const sorted = [...texts].sort((a, b) => b.length - a.length);
  return {
    shown: (root) => secrets.all.map((path) => shownFile(path, root)),
    env(root) {
      const seen = (paths: readonly string[]) => paths.map((path) => shownFile(path, root).to).join(' ');
      const groups = Object.entries(secrets.named).map(([name, paths]) => [
        `SECRETS_${name.toUpperCase().replaceAll('-', '_')}`,
        seen(paths),
      ]);
      return { SECRETS: seen(secrets.all), ...(Object.fromEntries(groups) as Record<string, string>) };
    },
    hide: (text) => sorted.reduce((hidden, each) => hidden.replaceAll(each, '[secret]'), text),
    isIn: (file) => holdsAny(file, whole),
  };
}

/** Looks through a file of any size. A piece begins with the end of the one before: what is looked for may lie across. */
async function holdsAny(file: string, wanted: readonly Buffer[]): Promise<boolean> {
  const overlap = Math.max(0, ...wanted.map(({ length }) => length - 1));
  let kept: Buffer = Buffer.alloc(0);
  for await (const piece of createReadStream(file, { highWaterMark: largest })) {
    const bytes = Buffer.concat([kept, piece as Buffer]);
    if (wanted.some((each) => bytes.includes(each))) return true;
    kept = bytes.subarray(Math.max(0, bytes.length - overlap));
  }
  return false;
}

async function readable(path: string, absolute: string, target: Target) {
  try {
    await access(absolute, constants.R_OK);
    return await stat(absolute);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'is not there' : "can't be read";
    throw new BuildFault('build/missing-secret', `${path}, a secret that ${target.label} needs, ${why}`, {
      place: target.place,
      next: missing ? 'put the secret there: it is on no other machine' : 'let yourself read it',
      cause,
    });
  }
}
