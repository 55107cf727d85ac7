import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openBlobStore, pullImage, pushImage } from '../index.ts';
import { makeImage } from '../make.ts';
import { testFolder } from '../testing/folder.ts';
import { checkRegistry } from './check.ts';
import { collectGarbage } from './collect.ts';

/** Kills of the server while images are pushed. */
const kills = 8;

test('kill -9 again and again while images are pushed: what is there is whole at each moment, and the pushes end well', async () => {
  const folder = await testFolder();
  const socketPath = join(folder, 'socket');
  const root = join(folder, 'registry');
  const program = `
    import { rm } from 'node:fs/promises';
    const { openBlobStore, createRegistryHandler, createRegistryServer } = await import(${JSON.stringify(new URL('../index.ts', import.meta.url).href)});
    const store = await openBlobStore(${JSON.stringify(join(folder, 'blobs'))});
    const server = createRegistryServer(createRegistryHandler(store, { root: ${JSON.stringify(root)} }));
    await rm(${JSON.stringify(socketPath)}, { force: true });
    server.listen(${JSON.stringify(socketPath)}, () => process.stdout.write('up'));
  `;
  const serve = async () => {
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout!, 'data');
    return child;
  };
  const source = await openBlobStore(join(folder, 'source'));
  const built = await Promise.all(
    Array.from({ length: 3 }, (_, number) =>
      makeImage({
        store: source,
        output: join(folder, `${number}.oci`),
        packages: [],
        files: [{ destination: '/random', content: randomBytes(3_000_000).toString('base64') }],
        config: {},
      }),
    ),
  );
  const transport = { plainHttp: true, credentials: 'anonymous', socketPath, firstPause: 20 } as const;
  let done = false;
  let pushes = 0;
  const pushing = Promise.all(
    built.map(async ({ layout, digest }, number) => {
      // Each round under other names, so that there is always something to do.
      for (let round = 0; !done; round++) {
        const reference = `registry.local/bank/r${round}-${number}:v1`;
        // A client that has given up is started again, by whoever waits for the image.
        for (let pushed = false; !pushed; )
          pushed = await pushImage({ layout, reference, transport }).then(
            (result) => result.digest === digest,
            (error) => {
              if (error.code !== 'image/registry-unreachable') throw error;
              return false;
            },
          );
        pushes += 1;
        const store = await openBlobStore(join(folder, `pulled-${round}-${number}`));
        for (let pulled = false; !pulled; )
          pulled = await pullImage({ reference, store, output: join(folder, `p${round}-${number}`), transport }).then(
            (result) => result.digest === digest,
            (error) => {
              if (error.code !== 'image/registry-unreachable') throw error;
              return false;
            },
          );
      }
    }),
  );
  // Told at the end; without this a failure in the meantime counts as unhandled.
  pushing.catch(() => {});
  const store = await openBlobStore(join(folder, 'blobs'));
  let server = await serve();
  for (let kill = 0; kill < kills; kill++) {
    await sleep(Math.random() * 250);
    server.kill('SIGKILL');
    await once(server, 'exit');
    expect((await checkRegistry(store, root)).problems).toEqual([]);
    server = await serve();
  }
  done = true;
  await pushing;
  expect(pushes).toBeGreaterThanOrEqual(3);
  server.kill('SIGKILL');
  await once(server, 'exit');
  const before = await checkRegistry(store, root);
  expect(before).toMatchObject({ problems: [] });
  // What the kills left half done goes, and nothing else does.
  await collectGarbage({ store, root, grace: 0, sweepStore: true, untagged: true });
  expect(await checkRegistry(store, root)).toMatchObject({ problems: [], manifests: before.manifests });
}, 120_000);
