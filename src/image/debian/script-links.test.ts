import { describe, expect, test } from 'vitest';
import { readScriptLinks } from './script-links.ts';

const read = (...scripts: string[]) => readScriptLinks('demo', scripts);

describe('alternatives', () => {
  test('in so many words, over several lines, behind a condition, in quotes', () => {
    const { alternatives, unread } = read(`#!/bin/sh
set -e
case "$1" in configure)
  update-alternatives --quiet --install /bin/nc nc /bin/nc.openbsd 50 \\
    --slave /bin/netcat netcat /bin/nc.openbsd \\
    --slave /usr/share/man/man1/nc.1.gz nc.1.gz /usr/share/man/man1/nc_openbsd.1.gz
  ;;
esac
if [ "$1" = configure ]; then update-alternatives --install "/usr/bin/vi" vi '/usr/bin/vim' -3 || true; fi
# update-alternatives --install /usr/bin/no no /usr/bin/none 5
echo update-alternatives --install /usr/bin/said said /usr/bin/vim 5
update-alternatives --remove vi /usr/bin/vim
update-alternatives --auto vi >/dev/null 2>&1 || true
`);
    expect(unread).toEqual([]);
    expect(alternatives).toEqual([
      {
        link: 'usr/bin/nc',
        target: '/bin/nc.openbsd',
        priority: 50,
        others: [
          { link: 'usr/bin/netcat', target: '/bin/nc.openbsd' },
          { link: 'usr/share/man/man1/nc.1.gz', target: '/usr/share/man/man1/nc_openbsd.1.gz' },
        ],
      },
      { link: 'usr/bin/vi', target: '/usr/bin/vim', priority: -3, others: [] },
    ]);
  });

  test('through variables and loops over words, as those of Java', () => {
    const { alternatives, unread } = read(`
priority=1711
basedir=/usr/lib/jvm/java-17
tools='java keytool'
for i in $tools; do
  update-alternatives --install \\
    /usr/bin/$i $i "$basedir/bin/\${i}" $priority $slave1
done
`);
    expect(unread).toEqual([]);
    expect(alternatives.map(({ link, target, priority }) => [link, target, priority])).toEqual([
      ['usr/bin/java', '/usr/lib/jvm/java-17/bin/java', 1711],
      ['usr/bin/keytool', '/usr/lib/jvm/java-17/bin/keytool', 1711],
    ]);
  });

  test.each([
    ['a command', 'update-alternatives --install /usr/bin/x x "$(readlink /usr/bin/y)" 5'],
    ['an unknown variable', 'for f in $(ls); do update-alternatives --install /usr/bin/$f $f /opt/$f 5; done\nx=$f'],
    ['a variable with two values', 'p=/a\np=/b\nupdate-alternatives --install /usr/bin/x x $p/x 5'],
    ['a function', 'link() { update-alternatives --install "$1" x "$2" 5; }'],
    ['steps upwards', 'update-alternatives --install /../../x x /usr/bin/mawk 5'],
    ['no priority', 'update-alternatives --install /usr/bin/x x /usr/bin/y'],
  ])('%s is told of as unread', (_, script) => {
    const found = read(script);
    expect(found.alternatives).toEqual([]);
    expect(found.unread).toHaveLength(1);
  });

  test('a script that was made to exhaust is read in no time', () => {
    const loops = Array.from({ length: 40 }, (_, index) => `for v${index} in ${'a '.repeat(50)}; do\n`).join('');
    const values = Array.from({ length: 30 }, (_, index) => `x${index}='$x${index + 1}$x${index + 1}$x${index + 1}'\n`);
    const { unread } = read(
      `${loops}update-alternatives --install $v1 x $v2 5\n${values.join('')}update-alternatives --install /$x0 x /y 5\n`,
    );
    expect(unread.length).toBeGreaterThan(0);
  });
});

describe('diversions', () => {
  test('added, with the package or without, by other forms of options', () => {
    const { diversions, unread } = read(
      'dpkg-divert --package other --rename --divert /usr/bin/a.other --add /usr/bin/a\n',
      `dpkg-divert --divert=/bin/b.moved --add /bin/b >/dev/null
dpkg-divert /usr/bin/c
dpkg-divert --local --add /usr/bin/d
dpkg-divert --package demo --remove --rename --divert /usr/bin/x.demo /usr/bin/x
if dpkg-divert --list demo | grep -q x; then :; fi
`,
    );
    expect(unread).toEqual([]);
    expect(diversions).toEqual([
      { from: 'usr/bin/a', to: 'usr/bin/a.other', by: 'other' },
      { from: 'usr/bin/b', to: 'usr/bin/b.moved', by: 'demo' },
      { from: 'usr/bin/c', to: 'usr/bin/c.distrib', by: 'demo' },
      { from: 'usr/bin/d', to: 'usr/bin/d.distrib', by: undefined },
    ]);
  });

  test('of what can not be told is unread', () => {
    expect(read('dpkg-divert --package dash --divert $distrib --add $dfile').unread).toEqual([
      'dpkg-divert --package dash --divert $distrib --add $dfile',
    ]);
  });
});
