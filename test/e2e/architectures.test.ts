import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { banksman, makeWorkspace } from './workspace.ts';

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
    const layer = join(root, 'banksman-out/gen/p/image.oci/blobs/sha256', layers.at(-1)!.digest.slice(7));
    const program = execFileSync('tar', ['-xOf', layer, 'app/server'], { maxBuffer: 64 * 1024 * 1024 });
    expect(program.readUInt16LE(18)).toBe(machines[platform.architecture]);
    expect(program.includes('compiled for another')).toBe(platform.architecture === 'arm64');
  }
});
