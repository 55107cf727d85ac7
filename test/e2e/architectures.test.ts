import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { banksman, copyBank, execute, makeWorkspace } from './workspace.ts';

interface Inspected {
  readonly Architecture: string;
  readonly Layers: readonly string[];
}

function fileOf(layout: string, layer: string, path: string): Buffer {
  const archive = join(layout, 'blobs/sha256', layer.slice('sha256:'.length));
  return execFileSync('tar', ['-xOf', archive, path], { maxBuffer: 64 * 1024 * 1024 });
}

/** e_machine of an ELF program: 62 is x86-64, 183 is AArch64. ELF-64, "ELF Header". */
const machines: Readonly<Record<string, number>> = { amd64: 62, arm64: 183 };

it('one index holds a Go program for each architecture, with the files that are for it', async () => {
  const { root, remove } = await makeWorkspace({
    'banksman.yaml': 'name: x\nconfig: { go: { architectures: [amd64, arm64] } }\n',
    'p/word/word.go': 'package word\n',
    'p/word/word_amd64.go': 'package word\n\nconst Word = "compiled for one machine"\n',
    'p/word/word_arm64.go': 'package word\n\nconst Word = "compiled for another"\n',
    'p/word/BUILD': 'go_library(name = "word", srcs = glob(["*.go"]), visibility = ["//p:all"])\n',
    'p/main.go': 'package main\n\nimport "p/word"\n\nfunc main() { println(word.Word) }\n',
    'p/BUILD': `
go_binary(name = "server", srcs = ["main.go"], deps = ["//p/word"])
docker_image(name = "image", architectures = ["amd64", "arm64"], files = {"/app/": ":server"}, entrypoint = ["/app/server"])
`,
  });
  onTestFinished(remove);
  execFileSync('git', ['init', '-q', root]);
  const outcome = await banksman(root, ['image', 'inspect', '//p:image', '--json']);
  expect([outcome.code, outcome.code === 0 ? '' : outcome.stderr]).toEqual([0, '']);
  const { images } = JSON.parse(outcome.stdout) as {
    images: { platform: { architecture: string }; layers: { digest: string }[] }[];
  };
  expect(images.map(({ platform }) => platform.architecture)).toEqual(['amd64', 'arm64']);
  for (const { platform, layers } of images) {
    const program = fileOf(join(root, 'banksman-out/gen/p/image.oci'), layers.at(-1)!.digest, 'app/server');
    expect(program.readUInt16LE(18)).toBe(machines[platform.architecture]);
    expect(program.includes('compiled for another')).toBe(platform.architecture === 'arm64');
  }
});

it('the gateway and the sidecar of the bank are for both architectures, as skopeo sees them', async () => {
  const bank = await copyBank();
  onTestFinished(bank.remove);
  await bank.mustRun(['build', '//bank/gateway:image', '//bank/common/sidecar:image']);
  for (const [folder, program] of [
    ['bank/gateway', 'gateway'],
    ['bank/common/sidecar', 'sidecar'],
  ] as const) {
    const layout = join(bank.root, 'banksman-out/gen', folder, 'image.oci');
    for (const architecture of ['amd64', 'arm64']) {
      const outcome = await execute('skopeo', ['inspect', '--override-arch', architecture, `oci:${layout}`]);
      expect([outcome.code, outcome.stderr]).toEqual([0, '']);
      const { Architecture, Layers } = JSON.parse(outcome.stdout) as Inspected;
      expect(Architecture).toBe(architecture);
      expect(fileOf(layout, Layers.at(-1)!, program).readUInt16LE(18)).toBe(machines[architecture]);
      // Debian's own part of it is of the lock for that architecture.
      const told = Layers.map((layer) =>
        execFileSync('tar', ['-tf', join(layout, 'blobs/sha256', layer.slice(7))], { encoding: 'utf8' }),
      );
      const base = Layers[told.findIndex((names) => names.includes('var/lib/dpkg/status.d/base-files\n'))]!;
      expect(fileOf(layout, base, 'var/lib/dpkg/status.d/base-files').toString()).toContain(
        `Architecture: ${architecture}\n`,
      );
    }
  }
});
