import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageFault } from '../fault.ts';
import { parseParagraphs } from './control.ts';

/** Where packages come from: this system's own Debian sources, unless a mirror is named. */
export interface DebianSource {
  /** Release by code name: `bookworm`. */
  readonly suite: string;
  /** URL of a Debian mirror, the folder that holds `dists`: `debian.mirror` of banksman.yaml. */
  readonly mirror?: string | undefined;
  /** The same for security updates; the mirror's URL and `-security` unless told. */
  readonly securityMirror?: string | undefined;
  /** Debian's name of it (`amd64`); this machine's unless told. */
  readonly architecture?: string | undefined;
  /** Root folder of the system whose sources count; `/` unless told. */
  readonly root?: string | undefined;
}

/** One entry for apt. sources.list(5), deb822 style. */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Keyring file, or a key itself; apt's own trusted keys where it is absent. */
  readonly signedBy?: string | undefined;
  readonly trusted?: boolean | undefined;
}

/** Of the package debian-archive-keyring; the second name is that of newer releases. */
const keyrings = ['usr/share/keyrings/debian-archive-keyring.gpg', 'usr/share/keyrings/debian-archive-keyring.pgp'];

/**
 * The entries for a suite. Of what the system has configured, only Debian's own archive counts: other vendors' entries,
 * whose keys may be missing or whose servers may be down, neither matter nor fail anything. A system of another
 * release, or another distribution, lends its mirror or debootstrap's.
 *
 * @throws ImageFault image/no-debian-source
 */
export async function aptSources(source: DebianSource): Promise<AptSource[]> {
  checkSource(source);
  const { suite, root = '/' } = source;
  const configured = (await systemSources(root)).filter(isDebianArchive);
  const signedBy = configured.find((entry) => entry.signedBy)?.signedBy ?? (await firstExisting(root, keyrings));
  const from = (main: readonly string[], security: readonly string[], other: Partial<AptSource> = {}): AptSource[] => [
    { uris: main, suites: [suite, `${suite}-updates`], components: ['main'], signedBy, ...other },
    { uris: security, suites: [`${suite}-security`], components: ['main'], signedBy, ...other },
  ];
  if (source.mirror !== undefined) {
    const mirror = source.mirror.replace(/\/+$/, '');
    return from([mirror], [source.securityMirror ?? `${mirror}-security`]);
  }
  const fitting = configured.filter((entry) => entry.suites.some((name) => isOf(name, suite)));
  if (fitting.length > 0) {
    return fitting.map((entry) => ({
      ...entry,
      suites: entry.suites.filter((name) => isOf(name, suite)),
      components: ['main'],
    }));
  }
  const security = configured.filter((entry) => entry.suites.some((name) => name.includes('-security')));
  const main = configured.filter((entry) => !security.includes(entry));
  if (main[0] && security[0]) return from(main[0].uris, security[0].uris, { trusted: main[0].trusted });
  const lent = await debootstrapMirror(root);
  if (lent !== undefined) return from([lent], [`${lent}-security`]);
  throw new ImageFault(
    'image/no-debian-source',
    `this system knows no mirror of Debian to get ${suite} packages from`,
    {
      next: 'set debian: { mirror: URL } in banksman.yaml, or install the packages debootstrap and debian-archive-keyring',
    },
  );
}

/** The entries as the text of a .sources file. */
export function formatSources(sources: readonly AptSource[]): string {
  return sources
    .map(({ uris, suites, components, signedBy, trusted }) =>
      [
        'Types: deb',
        `URIs: ${uris.join(' ')}`,
        `Suites: ${suites.join(' ')}`,
        `Components: ${components.join(' ')}`,
        ...(signedBy === undefined ? [] : [`Signed-By: ${signedBy.split('\n').join('\n ')}`]),
        ...(trusted === undefined ? [] : [`Trusted: ${trusted ? 'yes' : 'no'}`]),
        '',
      ].join('\n'),
    )
    .join('\n');
}

async function systemSources(root: string): Promise<AptSource[]> {
  const folder = join(root, 'etc/apt/sources.list.d');
  const names = (await readdir(folder).catch(() => [])).sort();
  const files = [join(root, 'etc/apt/sources.list'), ...names.map((name) => join(folder, name))];
  const found: AptSource[] = [];
  for (const file of files) {
    if (!/\.(list|sources)$/.test(file)) continue;
    const text = await readFile(file, 'utf8').catch(() => '');
    found.push(...(file.endsWith('.sources') ? parseSourcesFile(text) : parseListFile(text)));
  }
  return found;
}

/** sources.list(5), deb822 style. */
export function parseSourcesFile(text: string): AptSource[] {
  return parseParagraphs(text)
    .filter((entry) => words(entry.get('types')).includes('deb') && entry.get('enabled')?.toLowerCase() !== 'no')
    .map((entry) => ({
      uris: words(entry.get('uris')),
      suites: words(entry.get('suites')).map(withoutSlash),
      components: words(entry.get('components')),
      signedBy: entry.get('signed-by'),
      trusted: trust(entry.get('trusted')),
    }));
}

/** sources.list(5), one-line style: `deb [option=value ...] uri suite component...`. */
export function parseListFile(text: string): AptSource[] {
  const found: AptSource[] = [];
  for (const line of text.split('\n')) {
    const [, options = '', rest = ''] = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?([^#]*)/.exec(line) ?? [];
    const [uri, suite, ...components] = words(rest);
    if (uri === undefined || suite === undefined) continue;
    const option = (name: string) => new RegExp(`(?:^|\\s)${name}=(\\S+)`).exec(options)?.[1];
    found.push({
      uris: [uri],
      suites: [withoutSlash(suite)],
      components,
      signedBy: option('signed-by'),
      trusted: trust(option('trusted')),
    });
  }
  return found;
}

/**
 * Debian's archive as against other vendors' that name their suites alike: it has a component `main`, lies in a folder
 * `debian` or `debian-security`, and is signed by Debian's key or by a key that apt trusts for everything.
 */
function isDebianArchive({ uris, suites, components, signedBy }: AptSource): boolean {
  return (
    components.includes('main') &&
    uris.length > 0 &&
    uris.every((uri) => /\/debian(-security)?\/?$/.test(uri)) &&
    suites.every((suite) => /^[a-z]+(-updates|-security|-backports)?$/.test(suite)) &&
    (signedBy === undefined || signedBy.includes('debian-archive'))
  );
}

/** Backports are other versions than the release's own. */
function isOf(name: string, suite: string): boolean {
  return name === suite || name === `${suite}-updates` || name === `${suite}-security`;
}

/** debootstrap is how other distributions make Debian systems: it knows a mirror. */
async function debootstrapMirror(root: string): Promise<string | undefined> {
  const script = await readFile(join(root, 'usr/sbin/debootstrap'), 'utf8').catch(() => '');
  return /^DEF_MIRROR="(https?:\/\/[A-Za-z0-9./_-]+)"$/m.exec(script)?.[1];
}

function checkSource({ suite, mirror, securityMirror, architecture }: DebianSource): void {
  if (!/^[a-z]{2,30}$/.test(suite)) {
    throw new ImageFault(
      'image/no-debian-source',
      `${JSON.stringify(suite)} is not the code name of a Debian release`,
      {
        next: 'name it as bookworm',
      },
    );
  }
  if (architecture !== undefined && !/^[a-z0-9]{2,20}$/.test(architecture)) {
    throw new ImageFault('image/no-debian-source', `${JSON.stringify(architecture)} is not an architecture of Debian`);
  }
  for (const url of [mirror, securityMirror]) {
    if (url !== undefined && !/^(https?|file):\/\/[^\s"'\\]+$/.test(url)) {
      throw new ImageFault('image/no-debian-source', `the mirror ${JSON.stringify(url)} is not a URL`, {
        next: 'give the URL of the folder that holds dists, beginning with http, https or file',
      });
    }
  }
}

async function firstExisting(root: string, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const whole = join(root, path);
    if (await readFile(whole).catch(() => undefined)) return whole;
  }
  return undefined;
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

function withoutSlash(suite: string): string {
  return suite.replace(/\/$/, '');
}

function trust(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : /^(yes|true|1|on)$/i.test(value);
}
