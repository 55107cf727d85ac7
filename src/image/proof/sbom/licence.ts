/** SPDX ids that Debian's short names and Maven's names lead to, by the name in small letters. SPDX licence list 3. */
const plain: Readonly<Record<string, string>> = {
  expat: 'MIT',
  'mit/x11': 'MIT',
  apache: 'Apache-2.0',
  'apache-2': 'Apache-2.0',
  'apache license 2.0': 'Apache-2.0',
  'apache license, version 2.0': 'Apache-2.0',
  'the apache license, version 2.0': 'Apache-2.0',
  'the apache software license, version 2.0': 'Apache-2.0',
  'mit license': 'MIT',
  'the mit license': 'MIT',
  'bsd-2': 'BSD-2-Clause',
  'bsd-3': 'BSD-3-Clause',
  'simplified bsd license': 'BSD-2-Clause',
  'new bsd license': 'BSD-3-Clause',
  'eclipse public license v2.0': 'EPL-2.0',
  'eclipse public license 1.0': 'EPL-1.0',
  'openldap-2.8': 'OLDAP-2.8',
  cc0: 'CC0-1.0',
};

/** Ids that are names in Debian too, whatever the case of their letters. */
const same = [
  '0BSD',
  'AFL-2.1',
  'Apache-1.1',
  'Apache-2.0',
  'Artistic-2.0',
  'Beerware',
  'BSD-1-Clause',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BSD-4-Clause',
  'BSD-4-Clause-UC',
  'BSL-1.0',
  'bzip2-1.0.6',
  'CC-BY-3.0',
  'CC-BY-4.0',
  'CC-BY-SA-3.0',
  'CC-BY-SA-4.0',
  'CC0-1.0',
  'CDDL-1.0',
  'CDDL-1.1',
  'curl',
  'EPL-1.0',
  'EPL-2.0',
  'FSFAP',
  'FSFUL',
  'FSFULLR',
  'FTL',
  'HPND',
  'ICU',
  'IJG',
  'ISC',
  'JSON',
  'Libpng',
  'MIT',
  'MIT-0',
  'MPL-1.1',
  'MPL-2.0',
  'MS-PL',
  'NTP',
  'OFL-1.1',
  'OLDAP-2.8',
  'OpenSSL',
  'PHP-3.01',
  'PostgreSQL',
  'PSF-2.0',
  'Python-2.0',
  'Ruby',
  'SGI-B-2.0',
  'Sleepycat',
  'TCL',
  'Unicode-3.0',
  'Unicode-DFS-2016',
  'Unlicense',
  'UPL-1.0',
  'Vim',
  'W3C',
  'WTFPL',
  'X11',
  'Zlib',
  'ZPL-2.1',
];

const ids: ReadonlyMap<string, string> = new Map([
  ...same.map((id): [string, string] => [id.toLowerCase(), id]),
  ...Object.entries(plain),
]);

/**
 * The SPDX id of a licence by the name that a package gives it; undefined where the name does not say which licence it is. Where
 * there is a doubt (Debian's `Artistic` and `GPL` name no version), there is no id.
 */
export function spdxId(name: string): string | undefined {
  const found = ids.get(name.toLowerCase());
  if (found !== undefined) return found;
  const gnu = /^(GPL|LGPL|AGPL|GFDL)(-NIV)?-([123])(?:\.([0-9]))?(\+|-only|-or-later)?$/i.exec(name);
  if (gnu === null) return undefined;
  const [, family = '', noInvariants, major, minor = '0', later] = gnu;
  const versions = {
    GPL: ['1.0', '2.0', '3.0'],
    LGPL: ['2.0', '2.1', '3.0'],
    AGPL: ['1.0', '3.0'],
    GFDL: ['1.1', '1.2', '1.3'],
  };
  const kind = family.toUpperCase() as keyof typeof versions;
  const version = `${major}.${minor}`;
  if (!versions[kind].includes(version) || (noInvariants !== undefined && kind !== 'GFDL')) return undefined;
  const invariants = noInvariants === undefined ? '' : '-no-invariants';
  return `${kind}-${version}${invariants}-${later === '+' || later === '-or-later' ? 'or-later' : 'only'}`;
}

/**
 * The licences that a package's copyright file names: all of them, each once; which apply together, and to which file, it says
 * itself. In the machine-readable form (Debian copyright-format 1.0) it names them by fields, in any other by where their texts are
 * (Debian Policy 12.5). Empty where it does neither.
 */
export function licencesOfCopyright(text: string): string[] {
  if (!/^\s*Format(-Specification)?:/i.test(text)) return licencesOfText(text);
  const names = new Set<string>();
  for (const [, line = ''] of text.matchAll(/^License:[ \t]*(\S.*)$/gim)) {
    for (const part of line.split(/\s+(?:and\/or|and|or)\s+|\s*,\s*(?:and|or)?\s*/i)) {
      // `GPL-2+ with Autoconf exception`: what it allows beyond the licence is not said by an id.
      const name = part.trim().replace(/\.$/, '');
      if (/^[\x20-\x7e]{1,100}$/.test(name)) names.add(name);
    }
  }
  return [...names].sort();
}

/** A GNU licence of a version "or any later": who means which of several can't be told from here, and then none has a version. */
function licencesOfText(text: string): string[] {
  const found = [...text.matchAll(/\/usr\/share\/common-licenses\/([A-Za-z]+(?:-[A-Za-z0-9.]*[A-Za-z0-9])?)/g)];
  const names = [...new Set(found.map(([, name = '']) => name))].sort();
  const gnu = names.filter((name) => /^(?:GPL|LGPL|AGPL|GFDL)-/.test(name));
  const later = /any\s+later\s+version/i.test(text);
  if (!later) return names;
  const only = gnu.length === 1;
  return names.map((name) =>
    gnu.includes(name) ? (only ? `${name}+` : `${name} or later, see its copyright file`) : name,
  );
}
