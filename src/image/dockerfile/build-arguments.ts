import { nearest } from '../../fault/index.ts';
import { DockerfileFault } from './fault.ts';

/** What of `docker build`'s command line decides on an image. */
export interface BuildArguments {
  readonly args: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: string | undefined;
  readonly platform: string | undefined;
}

const withValue = ['build-arg', 'label', 'target', 'platform'] as const;
/** These change how an image is built, or what is printed, and nothing of the image. */
const withoutEffect = new Set([
  'no-cache',
  'pull',
  'quiet',
  'q',
  'rm',
  'force-rm',
  'compress',
  'load',
  'no-cache-filter',
]);
const withoutEffectButValue = new Set([
  'progress',
  'network',
  'memory',
  'm',
  'cpuset-cpus',
  'shm-size',
  'cache-from',
  'cache-to',
  'builder',
]);

/**
 * Reads arguments as a shell would split them. `$NAME` stands for a variable that was passed on.
 *
 * @param passed variables that the target passes on
 * @throws DockerfileFault dockerfile/bad-argument
 */
export function parseBuildArguments(text: string, passed: Readonly<Record<string, string>>): BuildArguments {
  const bad = (message: string, next?: string) =>
    new DockerfileFault('dockerfile/bad-argument', `build_args: ${message}`, { next });
  const args: Record<string, string> = {};
  const labels: Record<string, string> = {};
  let target: string | undefined;
  let platform: string | undefined;
  const words = shellWords(text, passed, bad);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    const [, name = '', own] = /^--?([a-z][a-z-]*)(?:=([\s\S]*))?$/.exec(word) ?? [];
    if (withoutEffect.has(name)) continue;
    const takes = (withValue as readonly string[]).includes(name);
    if (!takes && !withoutEffectButValue.has(name)) {
      const meant = nearest(name, withValue);
      throw bad(
        `${JSON.stringify(word.slice(0, 100))} is not known`,
        meant === undefined ? 'use --build-arg, --target, --label and --platform' : `did you mean --${meant}?`,
      );
    }
    const value = own ?? words[++index];
    if (value === undefined) throw bad(`--${name} has no value`);
    const equals = value.indexOf('=');
    const key = equals < 0 ? value : value.slice(0, equals);
    if (name === 'build-arg') {
      // A name alone takes its value from the environment; where it has none there, it is not given.
      const given = equals < 0 ? passed[key] : value.slice(equals + 1);
      if (given !== undefined) args[key] = given;
    } else if (name === 'label') labels[key] = equals < 0 ? '' : value.slice(equals + 1);
    else if (name === 'target') target = value;
    else if (name === 'platform') platform = value;
  }
  return { args, labels, target, platform };
}

function shellWords(
  text: string,
  passed: Readonly<Record<string, string>>,
  bad: (message: string, next?: string) => DockerfileFault,
): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? '';
    if (quote === '' && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === quote) quote = '';
    else if (quote === '' && (character === "'" || character === '"')) {
      quote = character;
      word ??= '';
    } else if (character === '\\' && quote !== "'") word = (word ?? '') + (text[++index] ?? '');
    else if (character === '$' && quote !== "'") {
      const [whole, braced, plain] =
        /^\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))/.exec(text.slice(index)) ?? [];
      if (whole === undefined) {
        throw bad(
          'commands and other substitutions are not carried out',
          'make the value in a rule, or pass it on as a variable with pass_env',
        );
      }
      const name = braced ?? plain ?? '';
      const value = passed[name];
      if (value === undefined) throw bad(`$${name} is not set, or not passed on`, `set it, and name it in pass_env`);
      word = (word ?? '') + value;
      index += whole.length - 1;
    } else word = (word ?? '') + character;
  }
  if (quote !== '') throw bad(`a ${quote} is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}
