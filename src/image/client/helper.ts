import { run } from '../../process/index.ts';
import { ImageFault } from '../fault.ts';

/** A name and password, or a token that the registry's token service gave earlier. */
export type Credentials = { readonly username: string; readonly password: string } | { readonly identityToken: string };

/** Milliseconds: a helper that waits for a person's hand gets some time, one that hangs is ended. */
const timeLimit = 30_000;

/**
 * Asks `docker-credential-<name> get`, which reads the registry's name on its standard input: nothing of the secret is on
 * a command line. Undefined where the helper knows nothing of the registry. github.com/docker/docker-credential-helpers.
 *
 * @throws ImageFault image/registry-unauthorized; never with what the helper printed, which may be a secret
 */
export async function askHelper(
  name: string,
  server: string,
  registry: string,
  milliseconds = timeLimit,
): Promise<Credentials | undefined> {
  const bad = (why: string, next = `run: docker login ${registry}`) =>
    new ImageFault('image/registry-unauthorized', `the credential helper docker-credential-${name} ${why}`, { next });
  // The name comes from a file and becomes a program's: no path, no option.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name))
    throw new ImageFault(
      'image/registry-unauthorized',
      `${JSON.stringify(name)} can't be the name of a credential helper`,
    );
  const program = `docker-credential-${name}`;
  const answer = await run(program, ['get'], {
    input: server,
    timeout: milliseconds,
    maximumOutput: 1024 * 1024,
    accept: Array.from({ length: 256 }, (_, code) => code),
  }).catch((error: { code?: string }) => {
    if (error.code === 'process/not-found')
      throw bad('is not installed', `install ${program}, or take it out of config.json`);
    if (error.code === 'process/timed-out') throw bad(`gave no answer in ${milliseconds / 1000} s`);
    throw bad('failed');
  });
  const text = answer.stdout.toString('utf8');
  if (answer.code !== 0) {
    // The one sentence of the protocol; any other is told by its exit code alone.
    if (/credentials not found/i.test(text)) return undefined;
    throw bad(`failed with exit code ${answer.code}`);
  }
  let json: { Username?: unknown; Secret?: unknown };
  try {
    json = JSON.parse(text);
  } catch {
    throw bad('gave an answer that is not JSON');
  }
  const { Username: username, Secret: secret } = json ?? {};
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') throw bad('gave no secret');
  return username === '<token>' ? { identityToken: secret } : { username, password: secret };
}
