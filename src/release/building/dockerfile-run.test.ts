// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are of Dockerfiles, whose variables look so
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { type Digest, hexOf, readImageLayout } from '../../image/index.ts';
import { imageWorkspace, listed } from '../testing/image-workspace.ts';

const isRoot = process.getuid?.() === 0;

/** The shell of this machine, with what it needs, as files of a package. */
function shellFiles(folder: string, programs: readonly string[] = ['/bin/sh', '/bin/cat']): void {
  const libraries = programs.flatMap(
    (path) => execFileSync('ldd', [path], { encoding: 'utf8' }).match(/\/[^\s:]+/g) ?? [],
  );
  for (const path of new Set([...programs, ...libraries])) {
    const place = join(folder, path.replace(/^\/usr\//, '/'));
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, readFileSync(path), { mode: 0o755 });
  }
}

it.runIf(isRoot)('RUN is carried out with buildah where the workspace says so, and the image is marked', async () => {
  const secret = 'hunter2-hunter2';
  const workspace = await imageWorkspace({
    'banksman.yaml': 'name: test\nimages: { run: buildah }\n',
    token: `${secret}\n`,
    'p/BUILD': `
docker_image(name = "base", srcs = glob(["root/**"]), dockerfile = "Dockerfile.base")
docker_image(
    name = "image", srcs = ["kept.txt", "left.md"], dockerfile = "Dockerfile", base_image = ":base",
    args = {"SECRETIVE": "argument-value"}, secrets = {"token": "token"},
)
docker_image(name = "failing", dockerfile = "Dockerfile.failing", base_image = ":base", secrets = {"token": "token"})
docker_image(name = "plain", srcs = ["kept.txt"], dockerfile = "Dockerfile.plain")
`,
    'p/.dockerignore': '*.md\n',
    'p/kept.txt': 'kept\n',
    'p/left.md': 'left\n',
    'p/Dockerfile.base': 'FROM scratch\nCOPY root/ /\nENV FROM_BASE=1\n',
    'p/Dockerfile': [
      'ARG BASE=:base',
      'FROM $BASE AS build',
      'ARG SECRETIVE',
      'COPY . /in/',
      'RUN --mount=type=secret,id=token cat /run/secrets/token > /dev/null && cat /in/* > /made && test -n "$SECRETIVE"',
      'FROM :base',
      'COPY --from=build /made /made',
      'RUN cat /made > /twice',
      'HEALTHCHECK CMD ["/bin/true"]',
      'CMD ["/bin/sh"]',
    ].join('\n'),
    'p/Dockerfile.failing': 'FROM :base\nRUN --mount=type=secret,id=token cat /run/secrets/token; exit 3\n',
    'p/Dockerfile.plain': 'FROM scratch\nCOPY kept.txt /\n',
  });
  shellFiles(join(workspace.root, 'p/root'));
  const layout = await workspace.layout('//p:image');
  const { layers, configuration } = await readImageLayout(layout);
  // Not compressed, as in all other images, and the base's are the base's.
  expect(layers.map(({ digest }) => digest)).toEqual(configuration.diffIds);
  const base = await readImageLayout(await workspace.layout('//p:base'));
  expect(layers.slice(0, -1)).toMatchObject(base.layers.map(({ digest, mediaType }) => ({ digest, mediaType })));
  const top = join(layout, 'blobs/sha256', hexOf(layers.at(-1)!.digest));
  expect(listed(top)).toContain('-rw-r--r-- 0/0 made');
  expect(execFileSync('tar', ['-xOf', top, 'twice'], { encoding: 'utf8' })).toBe('kept\n');
  expect(configuration.config).toMatchObject({
    Env: expect.arrayContaining(['FROM_BASE=1']),
    Healthcheck: { Test: ['CMD', '/bin/true'] },
    Cmd: ['/bin/sh'],
    Labels: { 'banksman.reproducible': 'false' },
  });
  for (const blob of readdirSync(join(layout, 'blobs/sha256'))) {
    const bytes = readFileSync(join(layout, 'blobs/sha256', blob), 'latin1');
    expect(bytes).not.toContain(secret);
    expect(bytes).not.toContain('argument-value');
  }
  const built = await (await workspace.builder('//p:image', '//p:plain')).images(['//p:image', '//p:plain']);
  expect(built.map(({ label, reproducible }) => [label, reproducible])).toEqual([
    ['//p:image', false],
    ['//p:plain', true],
  ]);
  const failed = await workspace.layout('//p:failing').catch((error) => error);
  expect(failed).toMatchObject({ code: 'dockerfile/run-failed', place: { file: 'p/Dockerfile.failing', line: 2 } });
  expect(failed.notes.join('\n')).toContain('exit status 3');
  expect(failed.notes.join('\n')).not.toContain(secret);
});

it.runIf(isRoot)(
  'what a base wants done by ONBUILD is carried out first and once, also where RUN is in it alone',
  async () => {
    const workspace = await imageWorkspace({
      'banksman.yaml': 'name: test\nimages: { run: buildah }\n',
      'p/BUILD': `
docker_image(name = "base", srcs = glob(["root/**"]), dockerfile = "Dockerfile.base")
docker_image(name = "without", srcs = ["kept.txt"], dockerfile = "Dockerfile.without", base_image = ":base")
docker_image(name = "with", srcs = ["kept.txt"], dockerfile = "Dockerfile.with", base_image = ":base")
docker_image(name = "staged", srcs = ["kept.txt"], dockerfile = "Dockerfile.staged", base_image = ":base")
docker_image(name = "failing", srcs = ["kept.txt"], dockerfile = "Dockerfile.failing", base_image = ":failing_base")
docker_image(name = "failing_base", srcs = glob(["root/**"]), dockerfile = "Dockerfile.failing_base")
`,
      'p/kept.txt': 'kept\n',
      'p/Dockerfile.base':
        'FROM scratch\nCOPY root/ /\nONBUILD ARG WHAT=world\nONBUILD COPY kept.txt /in/\nONBUILD RUN cat /in/kept.txt >> /made && echo "$WHAT" >> /made\nONBUILD ENV DONE=1\n',
      'p/Dockerfile.without': 'FROM :base\nCMD ["/bin/sh"]\n',
      'p/Dockerfile.with': 'FROM :base\nRUN cat /made /made > /twice\n',
      'p/Dockerfile.staged':
        'FROM :base AS first\nONBUILD RUN cat /made > /staged\nFROM first AS second\nRUN cat /staged >> /staged.again\n',
      'p/Dockerfile.failing_base': 'FROM scratch\nCOPY root/ /\nONBUILD RUN exit 7\n',
      'p/Dockerfile.failing': 'FROM :failing_base\n',
    });
    shellFiles(join(workspace.root, 'p/root'));
    const fileOf = async (label: string, path: string): Promise<string> => {
      const layout = await workspace.layout(label);
      const { layers } = await readImageLayout(layout);
      const archives = layers.map(({ digest }) => join(layout, 'blobs/sha256', hexOf(digest))).reverse();
      const holder = archives.find((archive) => listed(archive).some((line) => line.endsWith(` ${path}`)));
      return holder === undefined ? '(not there)' : execFileSync('tar', ['-xOf', holder, path], { encoding: 'utf8' });
    };
    const config = async (label: string) => (await readImageLayout(await workspace.layout(label))).configuration.config;
    expect(await fileOf('//p:without', 'made')).toBe('kept\nworld\n');
    expect(await config('//p:without')).toMatchObject({
      Env: expect.arrayContaining(['DONE=1']),
      Cmd: ['/bin/sh'],
      Labels: { 'banksman.reproducible': 'false' },
    });
    expect(await config('//p:without')).not.toHaveProperty('OnBuild');
    expect(await fileOf('//p:with', 'twice')).toBe('kept\nworld\nkept\nworld\n');
    expect(await fileOf('//p:staged', 'made')).toBe('kept\nworld\n');
    expect(await fileOf('//p:staged', 'staged.again')).toBe('kept\nworld\n');
    expect(await config('//p:staged')).not.toHaveProperty('OnBuild');
    // It is the base that asks for it.
    const failed = await workspace.layout('//p:failing').catch((error) => error);
    expect(failed).toMatchObject({ code: 'dockerfile/run-failed', place: { file: 'p/Dockerfile.failing', line: 1 } });
    expect(failed.notes.join('\n')).toContain('exit status 7');
  },
  120_000,
);

/** Another user than root, in a namespace where `/etc` knows that user: `ranges` of ids or none. */
const asSomebody = `
set -eu
folder=$1 ranges=$2 program=$3 label=$4
for file in passwd group subuid subgid; do
  [ -e /etc/$file ] || : >/etc/$file
  cp /etc/$file "$folder/etc.$file"
  case $file in
    passwd) echo "somebody:x:34567:34567::$folder/home:/bin/sh" ;;
    group) echo somebody:x:34567: ;;
    *) [ "$ranges" = none ] || echo "somebody:$ranges" ;;
  esac >>"$folder/etc.$file"
  mount --bind "$folder/etc.$file" /etc/$file
done
cd "$folder"
exec setpriv --reuid 34567 --regid 34567 --clear-groups env -i PATH="$PATH" HOME="$folder/home" CI=true \\
  BANKSMAN_CACHE="$folder/home/cache" "$program" image inspect "$label" --json
`;

const program = fileURLToPath(new URL('../../../bin/banksman', import.meta.url));
const mayRead = ['setpriv', '--reuid', '34567', '--regid', '34567', '--clear-groups', 'test', '-x'] as const;
const reaches = (path: string) => spawnSync(mayRead[0], [...mayRead.slice(1), path]).status === 0;

it.runIf(isRoot && reaches(program) && reaches(process.execPath))(
  'RUN is carried out without root, too, and leaves nothing behind; without a range of ids the error says what to do',
  async () => {
    const workspace = await imageWorkspace({
      'banksman.yaml': 'name: test\nimages: { run: buildah }\n',
      'p/BUILD': `
docker_image(name = "base", srcs = glob(["root/**"]), dockerfile = "Dockerfile.base")
docker_image(name = "image", dockerfile = "Dockerfile", base_image = ":base")
docker_image(name = "failing", dockerfile = "Dockerfile.failing", base_image = ":base")
`,
      'p/Dockerfile.base': 'FROM scratch\nCOPY root/ /\n',
      'p/Dockerfile': 'FROM :base\nRUN id -u > /who && mkdir /d && echo a > /d/a && chown -R 7:8 /d && chmod 700 /d\n',
      'p/Dockerfile.failing':
        'FROM :base\nRUN mkdir /d && echo a > /d/a && chown -R 7:8 /d && chmod 700 /d && exit 9\n',
    });
    const { root } = workspace;
    shellFiles(join(root, 'p/root'), ['/bin/sh', '/usr/bin/id', '/bin/mkdir', '/bin/chown', '/bin/chmod']);
    mkdirSync(join(root, 'home'));
    chmodSync(dirname(root), 0o755);
    execFileSync('git', ['-c', 'safe.directory=*', 'init', '-q', root]);
    execFileSync('chown', ['-R', '34567:34567', root]);
    const build = (ranges: string, label: string) =>
      spawnSync('unshare', ['--mount', 'bash', '-c', asSomebody, 'bash', root, ranges, program, label], {
        encoding: 'utf8',
        timeout: 100_000,
      });
    const refused = build('none', '//p:image');
    expect(refused.status).toBe(1);
    expect(JSON.parse(refused.stderr)).toMatchObject({
      error: {
        code: 'dockerfile/run-failed',
        next: expect.stringMatching(/give your user a range of ids.*usermod --add-subuids/),
      },
    });
    const made = build('300000:65536', '//p:image');
    expect([made.status, made.status === 0 ? '' : made.stderr]).toEqual([0, '']);
    const { images } = JSON.parse(made.stdout) as { images: { layers: { digest: string }[] }[] };
    const layer = join(
      root,
      'banksman-out/gen/p/image.oci/blobs/sha256',
      hexOf(images[0]!.layers.at(-1)!.digest as Digest),
    );
    expect(execFileSync('tar', ['-xOf', layer, 'who'], { encoding: 'utf8' })).toBe('0\n');
    expect(listed(layer)).toEqual(expect.arrayContaining(['drwx------ 7/8 d/', '-rw-r--r-- 7/8 d/a']));
    expect(build('300000:65536', '//p:failing').stderr).toContain('exit status 9');
    // Files of the range's users are nobody's to remove but buildah's.
    expect(readdirSync(join(root, 'home/cache/build/scratch'))).toEqual([]);
    expect(execFileSync('find', [root, '-uid', '+299999'], { encoding: 'utf8' })).toBe('');
  },
  120_000,
);

it.runIf(isRoot)('heredocs are what the reference says, whatever buildah is there', async () => {
  const workspace = await imageWorkspace({
    'banksman.yaml': 'name: test\nimages: { run: buildah }\n',
    'p/BUILD': `
docker_image(name = "base", srcs = glob(["root/**"]), dockerfile = "Dockerfile.base")
docker_image(name = "image", srcs = ["a.txt"], dockerfile = "Dockerfile", base_image = ":base", args = {"WHO": "me"})
docker_image(name = "failing", dockerfile = "Dockerfile.failing", base_image = ":base")
`,
    'p/a.txt': 'a\n',
    'p/Dockerfile.base': 'FROM scratch\nCOPY root/ /\nENV BELOW=base\nSHELL ["/bin/sh", "-ec"]\n',
    'p/Dockerfile': [
      'FROM :base AS one',
      'ARG WHO=nobody',
      'ENV GREETING="hello ${WHO}"',
      'RUN <<EOF',
      'echo "$GREETING" > /out',
      "echo 'quo\"ted' >> /out",
      'EOF',
      "RUN cat <<-A <<'B' >> /out && \\",
      '  echo done >> /out',
      '\tA is not read',
      '\tA',
      'raw $WHO',
      'B',
      'FROM one',
      'COPY <<EOF /etc/one',
      '$GREETING $BELOW \\$x ${NONE:-none}',
      'EOF',
      "COPY --link --chmod=755 --chown=7:8 <<'E1' a.txt <<E2 /many/",
      'raw $WHO',
      'E1',
      'who $WHO',
      'E2',
      'COPY . /all/',
      'CMD ["/bin/sh"]',
    ].join('\n'),
    'p/Dockerfile.failing': 'FROM :base\nRUN echo well\nRUN <<EOF\nfalse\necho on\nEOF\n',
  });
  shellFiles(join(workspace.root, 'p/root'));
  const layout = await workspace.layout('//p:image');
  const { layers } = await readImageLayout(layout);
  // A layer for each stage.
  const [lower, top] = layers.slice(-2).map(({ digest }) => join(layout, 'blobs/sha256', hexOf(digest)));
  const read = (path: string, layer = top!) => execFileSync('tar', ['-xOf', layer, path], { encoding: 'utf8' });
  expect(read('out', lower)).toBe('hello me\nquo"ted\nraw $WHO\ndone\n');
  expect(read('etc/one')).toBe('hello me base $x none\n');
  expect([read('many/E1'), read('many/E2')]).toEqual(['raw $WHO\n', 'who me\n']);
  const files = listed(top!).filter((line) => /many\/.|all\/./.test(line));
  expect(files).toEqual([
    '-rw-r--r-- 0/0 all/a.txt',
    '-rwxr-xr-x 7/8 many/E1',
    '-rwxr-xr-x 7/8 many/E2',
    '-rwxr-xr-x 7/8 many/a.txt',
  ]);
  // -e is of the base's SHELL, and the error is at the RUN that failed.
  await expect(workspace.layout('//p:failing')).rejects.toMatchObject({
    code: 'dockerfile/run-failed',
    place: { file: 'p/Dockerfile.failing', line: 3 },
  });
});

it('secrets and RUN are refused where the workspace does not turn RUN on', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': 'docker_image(name = "image", dockerfile = "Dockerfile", secrets = {"a": "b"})',
    'p/Dockerfile': 'FROM scratch\n',
  });
  await expect(workspace.layout('//p:image')).rejects.toMatchObject({ next: expect.stringContaining('run: buildah') });
  await workspace.write({ 'banksman.yaml': 'name: test\nimages: { run: docker }\n' });
  await expect(workspace.layout('//p:image')).rejects.toThrow(/buildah/);
});
