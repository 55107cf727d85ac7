import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { hexOf, readImageLayout } from '../../image/index.ts';
import { imageWorkspace, listed } from '../testing/image-workspace.ts';

const isRoot = process.getuid?.() === 0;

/** The shell of this machine, with what it needs, as files of a package. */
function shellFiles(folder: string): void {
  const programs = ['/bin/sh', '/bin/cat'];
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

it('secrets and RUN are refused where the workspace does not turn RUN on', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': 'docker_image(name = "image", dockerfile = "Dockerfile", secrets = {"a": "b"})',
    'p/Dockerfile': 'FROM scratch\n',
  });
  await expect(workspace.layout('//p:image')).rejects.toMatchObject({ next: expect.stringContaining('run: buildah') });
  await workspace.write({ 'banksman.yaml': 'name: test\nimages: { run: docker }\n' });
  await expect(workspace.layout('//p:image')).rejects.toThrow(/buildah/);
});
