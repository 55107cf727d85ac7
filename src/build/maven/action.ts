import { chmod, copyFile, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { withLock, writeAtomically } from '../../disk/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import { hashFile } from '../blobs.ts';
import { configText } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';

/** The part of the Maven client that copies an artifact. It comes from the same repositories. */
const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1';
/** Milliseconds for one artifact, the plugin itself included. */
const patience = 300_000;

/**
 * Brings a jar with the Maven client, whose settings (mirrors, credentials) are the user's own, and checks its sum. What was
 * brought once is kept by its sum: `maven/<sha256>.jar` in the cache folder.
 */
export const mavenJar: BuiltinAction = {
  version: '1',
  async run(request) {
    const { target } = request;
    const id = configText(request, 'id');
    const sha256 = configText(request, 'sha256').toLowerCase();
    if (!/^[\w.-]+:[\w.-]+:[\w.-]+(:[\w.-]+){0,2}$/.test(id)) {
      throw new BuildFault('build/bad-config', `${target.label} has the id ${id}, which names no artifact`, {
        place: target.place,
        next: 'write group:artifact:version',
      });
    }
    const cached = join(request.cacheFolder, 'maven', `${/^[0-9a-f]{64}$/.test(sha256) ? sha256 : 'unlocked'}.jar`);
    if (!(await isWhole(cached, sha256))) await fetchJar(request, id, sha256, cached);
    const output = join(request.outputFolder, target.outs[0] ?? '');
    await copyFile(cached, output);
    await chmod(output, 0o644);
  },
};

async function isWhole(path: string, sha256: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined && (await hashFile(path)) === sha256;
}

async function fetchJar(request: BuiltinRequest, id: string, sha256: string, cached: string): Promise<void> {
  const { target } = request;
  const maven = await resolveTool('mvn');
  const folder = join(request.temporaryFolder, 'maven');
  await mkdir(folder);
  request.update(`fetching ${id}`);
  // Two clients at once can spoil the local repository that they share (MNG-2802).
  const lock = join(request.cacheFolder, 'maven', 'client.lock');
  await withLock(lock, () => runMaven(request, maven.path, id, folder));
  const [name] = await readdir(folder);
  const fetched = name === undefined ? undefined : join(folder, basename(name));
  if (fetched === undefined) {
    throw new BuildFault('build/fetch-failed', `mvn brought nothing for ${id}`, { place: target.place });
  }
  const actual = await hashFile(fetched);
  if (actual !== sha256) {
    throw new BuildFault('build/hash-mismatch', `${id} has another sum than ${target.label} locks`, {
      place: target.place,
      notes: [`locked: ${sha256}`, `had:    ${actual}`],
      next:
        sha256 === ''
          ? `lock it: sha256 = "${actual}"`
          : 'find out why it is another content (a mirror, a changed version); if it is right, lock its sum',
    });
  }
  await writeAtomically(cached, await readFile(fetched));
}

async function runMaven(request: BuiltinRequest, program: string, id: string, folder: string): Promise<void> {
  const { target } = request;
  // -U: a failure of an earlier day, which Maven remembers, is no answer.
  const args = [
    '-B',
    '-q',
    '-U',
    '-Dstyle.color=never',
    // Not ~/.m2/repository: a user without a home has none, and what another tool left there is not ours to rely on.
    `-Dmaven.repo.local=${join(request.cacheFolder, 'maven', 'repository')}`,
    `${plugin}:copy`,
    `-Dartifact=${id}`,
    `-DoutputDirectory=${folder}`,
  ];
  try {
    await run(program, args, {
      cwd: request.temporaryFolder,
      timeout: patience,
      signal: request.signal,
      accept: [0, 1],
    }).then((done) => {
      if (done.code !== 0) throw fetchFault(request, id, done.stdout.toString('utf8') + done.stderr);
    });
  } catch (error) {
    if (!(error instanceof ProcessFault)) throw error;
    const what =
      error.code === 'process/timed-out' ? `did not come within ${patience / 1000} s` : 'could not be fetched';
    throw new BuildFault('build/fetch-failed', `${id}, which ${target.label} needs, ${what}`, {
      place: target.place,
      notes: error.notes,
      next: 'see that the network and the settings of mvn (~/.m2/settings.xml) are right, and build again',
      cause: error,
    });
  }
}

function fetchFault(request: BuiltinRequest, id: string, output: string): BuildFault {
  const { target } = request;
  const lines = output
    .replace(/\x1b\[[0-9;]*m/g, '')
    .split('\n')
    .filter((line) => line.startsWith('[ERROR]') && line.length > '[ERROR] '.length)
    .filter(
      (line) => !/Re-run Maven|full stack trace|Help 1|For more information/.test(line) || line.includes('Failed'),
    );
  const gone = /Could not find artifact/.test(output);
  return new BuildFault(
    'build/fetch-failed',
    gone
      ? `no repository that mvn knows has ${id}, which ${target.label} needs`
      : `${id}, which ${target.label} needs, could not be fetched`,
    {
      place: target.place,
      notes: lines.length === 0 ? [] : [lines.join('\n')],
      next: gone
        ? 'correct the id, or lock another version with its sum'
        : 'see that the network and the settings of mvn (~/.m2/settings.xml) are right, and build again',
    },
  );
}
