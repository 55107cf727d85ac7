import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { loadTargets, openWorkspace } from '../../graph/index.ts';
import { ruleFiles } from '../../rules/index.ts';
import { packagesOfImages } from './needed-packages.ts';

const sum = 'ab'.repeat(32);
const lock = (architecture: string) =>
  JSON.stringify({
    format: 1,
    suite: 'bookworm',
    architecture,
    requested: ['base', 'java'],
    exclude: [],
    packages: {
      base: { version: '1', architecture, sha256: sum, size: 1, depends: ['data'] },
      data: { version: '1', architecture: 'all', sha256: sum, size: 1, depends: [] },
      java: { version: '1', architecture, sha256: sum, size: 1, depends: [] },
    },
  });

it('of another architecture only what its images need is wanted, however far', async () => {
  const root = await mkdtemp(join(tmpdir(), 'banksman-needed-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const [here, there] = process.arch === 'arm64' ? ['arm64', 'amd64'] : ['amd64', 'arm64'];
  const files = {
    'banksman.yaml': 'name: x\n',
    'debian.lock.json': lock(here!),
    [`debian.lock.${there}.json`]: lock(there!),
    BUILD: `
debian_packages(name = "debian", suite = "bookworm", packages = ["base", "java"], architectures = ["${here}", "${there}"])
docker_image(name = "both", architectures = ["amd64", "arm64"], packages = [":base"])
docker_image(name = "one", packages = [":java"])
`,
  };
  for (const [path, text] of Object.entries(files)) await writeFile(join(root, path), text);
  const { graph } = await loadTargets(await openWorkspace(root), ['//...'], { ruleFiles: ruleFiles() });
  const wanted = packagesOfImages(graph, there!);
  expect([...wanted].sort()).toEqual([`//:_base#${there}`, `//:_data#${there}`]);
});
