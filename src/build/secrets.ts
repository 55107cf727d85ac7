import { access, constants, readFile, stat } from 'node:fs/promises';
import type { Target } from '../graph/index.ts';
import { BuildFault } from './fault.ts';
import { systemPath } from './system-file.ts';

/** Secrets that an action may read while it runs. */
export interface OpenSecrets {
  /** Files and folders that its sandbox shows. */
  readonly paths: readonly string[];
  /** `$SECRETS`, and `$SECRETS_X` for each group. */
  readonly env: Readonly<Record<string, string>>;
  /** A text in which none of the secrets can be read. */
  hide(text: string): string;
  /** Whether bytes hold the whole of a secret. */
  isIn(bytes: Buffer): boolean;
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
  const expanded = (paths: readonly string[]) => paths.map(systemPath).join(' ');
  return {
    paths: secrets.all.map(systemPath),
    env: {
      SECRETS: expanded(secrets.all),
      ...Object.fromEntries(
        Object.entries(secrets.named).map(([name, paths]) => [
          `SECRETS_${name.toUpperCase().replaceAll('-', '_')}`,
          expanded(paths),
        ]),
      ),
    },
    hide: (text) => sorted.reduce((hidden, each) => hidden.replaceAll(each, '[secret]'), text),
    isIn: (bytes) => whole.some((each) => bytes.includes(each)),
  };
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
