// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are of Dockerfiles, whose variables look so
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testFolder } from '../testing/folder.ts';
import { buildWithBuildah, hasBuildah, type Unpacked, unpackLayout } from './testing/buildah.ts';
import { baseLabel, type Case, make, makeBase } from './testing/case.ts';

/** Fields of both, in one form; what buildah says of itself is left out. */
function comparable({ config, files }: Unpacked) {
  const { Labels, ...rest } = config;
  const { 'io.buildah.version': _, ...labels } = (Labels ?? {}) as Record<string, string>;
  const fields = [
    'User',
    'Env',
    'Entrypoint',
    'Cmd',
    'WorkingDir',
    'ExposedPorts',
    'Volumes',
    'StopSignal',
    'Healthcheck',
    'Shell',
    'OnBuild',
  ];
  // What is empty means what is absent, and so does the root as the working folder.
  const isEmpty = (value: unknown) =>
    value === undefined || value === null || value === '' || value === '/' || Object.keys(value).length === 0;
  const given = fields.map((name) => [name, rest[name]]).filter(([, value]) => !isEmpty(value));
  const env = (rest.Env as string[] | undefined)?.toSorted();
  return { config: { ...Object.fromEntries(given), Env: env, Labels: labels }, files };
}

const cases: readonly (readonly [name: string, Case])[] = [
  [
    'instructions of the configuration, in both forms',
    {
      files: {
        Dockerfile: [
          'ARG GLOBAL=g',
          'FROM scratch',
          'ARG GLOBAL',
          'ARG WITH=d OTHER',
          'ENV A=1 B="two words" C=$A D=${WITH:-x}${GLOBAL}${OTHER}',
          'ENV A=changed LATE=$A',
          'ENV OLD form with  spaces',
          'LABEL a=b "c d"="e \\" f" g=$WITH',
          'EXPOSE 80 90/udp $WITH',
          'VOLUME /data /more',
          'VOLUME ["/js on"]',
          'WORKDIR /srv',
          'WORKDIR app/../other',
          'USER 12:13',
          'STOPSIGNAL SIGUSR1',
          'HEALTHCHECK --interval=5s --timeout=1m --retries=2 CMD curl -f "x y"',
          'CMD ["before"]',
          'ENTRYPOINT exec "$A" x',
          'CMD ["after", "b"]',
          'SHELL ["/bin/bash", "-ec"]',
          'ONBUILD COPY . /x',
        ].join('\n'),
      },
      args: { WITH: '7000/tcp' },
    },
  ],
  [
    'the configuration of a base, with what ENTRYPOINT resets',
    {
      files: {
        Dockerfile: `FROM ${baseLabel}\nENV BASE=\${BASE}2 NEW=\\$x\nENTRYPOINT ["/new"]\nHEALTHCHECK NONE\nWORKDIR x\n`,
      },
    },
  ],
  [
    'files and folders, slashes and links',
    {
      files: {
        Dockerfile: [
          `FROM ${baseLabel}`,
          'COPY one /a',
          'COPY one /b/',
          'COPY one /srv/data',
          'COPY one rel',
          'COPY one ./sub/',
          'COPY dir /folder',
          'COPY dir/ /folder/slash/',
          'COPY dir /srv/data/',
          'COPY dir/deep/../deep/*.txt /w/',
          'COPY one dir/two /several/',
          'COPY d?r/[t-u]w[^x] /pattern',
          'COPY ["dir/with space", "/js on/x"]',
          'COPY one /bin/linked',
          'COPY one /lib/new/',
          'COPY . /all',
          'COPY one /a',
          'ADD one /added',
          'WORKDIR /made/by/workdir',
          'COPY one .',
        ].join('\n'),
        one: 'one',
        'dir/two': 'two',
        'dir/run*': '#!/bin/sh',
        'dir/with space': 'space',
        'dir/deep/x.txt': 'x',
        'dir/deep/y.txt': 'y',
        'dir/deep/z.md': 'z',
      },
    },
  ],
  [
    'owners and modes, by names of the base',
    {
      files: {
        Dockerfile: [
          `FROM ${baseLabel}`,
          'ARG WHO=app',
          'COPY --chown=$WHO one /c1',
          'COPY --chown=app:nogroup one /c2/',
          'COPY --chown=7 one /c3',
          'COPY --chown=7:app dir /c4',
          'COPY --chmod=600 one /m1',
          'COPY --chmod=0751 dir /m2',
          'ADD --chown=nobody:root --chmod=444 dir/two /m3',
        ].join('\n'),
        one: 'one',
        'dir/two*': 'two',
        'dir/deep/x': 'x',
      },
    },
  ],
  [
    'stages by name, number and each other, and ARG in its scopes',
    {
      files: {
        Dockerfile: [
          'ARG BASE=scratch',
          'ARG V=1',
          'FROM ${BASE} AS first',
          'COPY --chown=5:6 dir /out',
          'ARG V',
          'COPY one /v$V',
          `FROM ${baseLabel} AS second`,
          'ARG V=2',
          'COPY --from=0 /out /copied',
          'COPY --from=first /out/two /v1 /files/',
          'LABEL v=$V arch=${TARGETARCH:-none}',
          'FROM second',
          'ARG TARGETARCH',
          'ARG TARGETOS',
          'ENV ARCH=$TARGETARCH-$TARGETOS BASE_TOO=$BASE',
          'COPY --from=second /copied/t* /usr/bin/tool /last/',
          'COPY --from=second --chown=0:0 /copied /mine',
        ].join('\n'),
        one: 'one',
        'dir/two': 'two',
        'dir/deep/x*': 'x',
      },
    },
  ],
  [
    'archives that ADD unpacks, and what only looks like one',
    {
      files: {
        Dockerfile: [
          `FROM ${baseLabel}`,
          'ADD plain.tar /plain/',
          'ADD packed.tar.gz /gz',
          'ADD packed.tar.xz packed.tar.bz2 /several/',
          'ADD text.tar.gz /text/',
          'ADD alone.gz /',
          'COPY plain.tar /kept/',
        ].join('\n'),
        'text.tar.gz': 'no archive',
      },
      prepare: (context) => {
        const tree = join(context, '../tree');
        mkdirSync(join(tree, 'bin/sub'), { recursive: true });
        writeFileSync(join(tree, 'bin/sub/x'), 'x', { mode: 0o640 });
        writeFileSync(join(tree, 'top'), 't', { mode: 0o755 });
        symlinkSync('sub/x', join(tree, 'bin/link'));
        const tar = (name: string, ...flags: string[]) =>
          execFileSync('tar', [
            '--create',
            '--owner=21',
            '--group=22',
            '--mtime=@0',
            ...flags,
            '--file',
            join(context, name),
            '--directory',
            tree,
            'bin',
            'top',
          ]);
        tar('plain.tar');
        tar('packed.tar.gz', '--gzip');
        tar('packed.tar.xz', '--xz');
        tar('packed.tar.bz2', '--bzip2');
        execFileSync('sh', ['-c', 'echo lone | gzip -n > "$0"', join(context, 'alone.gz')]);
      },
    },
  ],
  [
    'a .dockerignore file',
    {
      files: {
        Dockerfile: 'FROM scratch\nCOPY . /\n',
        '.dockerignore':
          '# comment\n*.md\n!README.md\n**/*.log\n/build\n!build/keep\nnode_modules/**/test\n  .git  \nDockerfile\nsecret?\n',
        'a.md': '',
        'README.md': '',
        'docs/b.md': '',
        'x.log': '',
        'deep/er/y.log': '',
        'build/out': '',
        'build/keep/x': '',
        'node_modules/a/test/t': '',
        'node_modules/a/lib': '',
        '.git/config': '',
        secret1: '',
        'sub/secret1': '',
      },
    },
  ],
];

describe.runIf(hasBuildah)('the image is the one that buildah makes', () => {
  test.each(cases)('%s', async (_, given) => {
    const folder = await testFolder();
    const base = await makeBase(folder);
    const image = await make(folder, given, { imageOf: (label) => (label === baseLabel ? base : undefined) });
    const ours = comparable(await unpackLayout(image.layout, join(folder, 'ours')));
    const args = Object.entries(given.args ?? {}).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
    const theirs = comparable(
      await buildWithBuildah(join(folder, 'theirs'), join(folder, 'context'), { [baseLabel]: base }, args),
    );
    expect(ours.config).toEqual(theirs.config);
    expect(ours.files).toEqual(theirs.files);
    expect(Object.keys(ours.files).length + Object.keys(ours.config).length).toBeGreaterThan(2);
  });
});
