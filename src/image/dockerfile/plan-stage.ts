import { posix } from 'node:path';
import { substituteWord, type Variables } from './arguments.ts';
import {
  commandWords,
  configOf,
  environmentOf,
  exposedPorts,
  healthcheckObject,
  isSignal,
  type RuntimeConfig,
  setVariable,
} from './config.ts';
import type { CopyOptions } from './copy.ts';
import { DockerfileFault } from './fault.ts';
import type { Heredoc, Instruction, InstructionOf, MeaningOf } from './instruction.ts';
import { parseMode } from './mode.ts';
import type { Warning } from './parse.ts';
import { type LogicalLine, placeOf, type Word } from './source.ts';
import type { Escape } from './substitute.ts';

/** What a COPY or ADD does, with variables replaced. */
export interface CopyStep {
  readonly kind: 'copy' | 'add';
  readonly sources: readonly { readonly word: Word; readonly text: string }[];
  readonly heredocs: readonly { readonly name: string; readonly content: string }[];
  /** Absolute, with its slash at the end. */
  readonly destination: string;
  readonly destinationWord: Word;
  /** Stage, number or image; the context where it is absent. */
  readonly from: Word | undefined;
  readonly owner: { readonly word: Word; readonly text: string } | undefined;
  readonly mode: CopyOptions['mode'];
  readonly exclude: readonly Word[];
  readonly checksum: { readonly word: Word; readonly text: string } | undefined;
  readonly parents: boolean;
  readonly link: boolean;
  readonly unpack: boolean | undefined;
}

/** A folder that WORKDIR wants to be there. */
export interface FolderStep {
  readonly kind: 'folder';
  readonly path: string;
  /** The USER at that point. */
  readonly owner: string | undefined;
}

/** One instruction carried out as far as it can be without a file. */
export interface Step {
  readonly instruction: Instruction;
  /** For the image's history. As it is written: arguments stay names. */
  readonly createdBy: string;
  readonly files: CopyStep | FolderStep | undefined;
}

export interface StagePlan {
  readonly steps: readonly Step[];
  readonly config: RuntimeConfig & Record<string, unknown>;
  readonly author: string | undefined;
  /** ARGs in force at the end: stages on this one have them too. */
  readonly args: Variables;
  readonly warnings: readonly Warning[];
}

/** What a stage begins with. */
export interface StageBase {
  readonly config: Readonly<Record<string, unknown>>;
  readonly author: string | undefined;
  readonly args: Variables;
}

export interface StageScope {
  readonly escape: Escape;
  /** Of ARG before the first FROM, and of the platform. */
  readonly globals: Variables;
  /** Arguments of the build. */
  readonly given: Variables;
  /** What becomes of a RUN: throws where there is nothing to run it, and nothing where somebody else does. */
  run(instruction: InstructionOf<'run'>): undefined;
}

/** An image that is made of nothing has these. */
export const emptyConfig: Readonly<Record<string, unknown>> = {
  Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  WorkingDir: '/',
};

/**
 * What a stage's instructions mean for an image that begins as its base: variables are replaced, paths are absolute. Reads no file.
 *
 * @throws DockerfileFault
 */
export function planStage(instructions: readonly Instruction[], base: StageBase, scope: StageScope): StagePlan {
  return new StagePlanner(base, scope).plan(instructions);
}

/** Names of what should not be in an image. */
const secretName =
  /(?:^|_)(?:api_?key|auth|credentials?|passwo?r?d|pword|secret|token|private_?key|access_?key)(?:_|$)/i;

class StagePlanner {
  readonly #config: RuntimeConfig & Record<string, unknown>;
  readonly #scope: StageScope;
  readonly #args: Map<string, string>;
  readonly #warnings: Warning[] = [];
  readonly #warned = new Set<string>();
  #author: string | undefined;
  #commandIsSet = false;

  constructor({ config, author, args }: StageBase, scope: StageScope) {
    this.#config = configOf(config);
    this.#author = author;
    this.#args = new Map(args);
    this.#scope = scope;
  }

  plan(instructions: readonly Instruction[]): StagePlan {
    const steps = instructions.map((instruction): Step => {
      const files = this.#carryOut(instruction);
      return { instruction, createdBy: instruction.line.text.trim(), files };
    });
    return {
      steps,
      config: this.#config,
      author: this.#author,
      args: this.#args,
      warnings: this.#warnings,
    };
  }

  #carryOut(instruction: Instruction): Step['files'] {
    const { line, meaning } = instruction;
    const config = this.#config;
    switch (meaning.kind) {
      case 'arg':
        return this.#arg(instruction, meaning);
      case 'env':
        // All values see the variables from before the instruction.
        for (const [name, value] of this.#pairs(instruction, meaning)) {
          this.#warnOfSecret(instruction, 'ENV', name);
          setVariable(config, name, value);
        }
        return undefined;
      case 'label':
        config.Labels = { ...config.Labels, ...Object.fromEntries(this.#pairs(instruction, meaning)) };
        return undefined;
      case 'copy':
      case 'add':
        return this.#copy(instruction, meaning);
      case 'workdir':
        return this.#workdir(instruction, meaning.word);
      case 'cmd': {
        this.#commandIsSet = true;
        this.#warnOfList(instruction, meaning.command);
        setOrDelete(config, 'Cmd', commandWords(config, meaning.command));
        return undefined;
      }
      case 'entrypoint':
        this.#warnOfList(instruction, meaning.command);
        setOrDelete(config, 'Entrypoint', commandWords(config, meaning.command));
        // A command of the base belongs to the entry point of the base.
        if (!this.#commandIsSet) delete config.Cmd;
        return undefined;
      case 'shell':
        config.Shell = [...meaning.words];
        return undefined;
      case 'user':
        config.User = this.#needed(instruction, meaning.word);
        return undefined;
      case 'expose':
        this.#expose(instruction, meaning.words);
        return undefined;
      case 'volume': {
        const volumes = meaning.words.map((word) => this.#needed(instruction, word));
        config.Volumes = { ...config.Volumes, ...Object.fromEntries(volumes.map((volume) => [volume, {}])) };
        return undefined;
      }
      case 'stopsignal': {
        const signal = this.#needed(instruction, meaning.word);
        if (!isSignal(signal)) {
          throw badValue(line, meaning.word, `${JSON.stringify(signal)} is not a signal`, 'write it as SIGTERM or 15');
        }
        config.StopSignal = signal;
        return undefined;
      }
      case 'healthcheck':
        config.Healthcheck = healthcheckObject(meaning.check);
        return undefined;
      case 'maintainer':
        this.#author = meaning.word.text;
        return undefined;
      case 'onbuild':
        config.OnBuild = [...(config.OnBuild ?? []), meaning.text];
        return undefined;
      case 'run':
        return this.#scope.run(instruction as InstructionOf<'run'>);
      default:
        throw new Error(`${meaning.kind} stands in no stage`);
    }
  }

  /** ENV before ARG, as the reference says: "Environment variables ... always override an ARG instruction of the same name". */
  #variable = (name: string): string | undefined => environmentOf(this.#config).get(name) ?? this.#args.get(name);

  #text(instruction: Instruction, word: Word, ignoreQuotes = false): string {
    const { text, unset } = substituteWord(
      instruction.line,
      word,
      ignoreQuotes ? '\\' : this.#scope.escape,
      this.#variable,
      ignoreQuotes,
    );
    for (const name of unset) {
      const known = this.#scope.globals.has(name);
      this.#warn(
        instruction,
        `$${name} is not set here, and stands for nothing${known ? `; the stage needs ARG ${name} for it` : ''}`,
      );
    }
    return text;
  }

  #needed(instruction: Instruction, word: Word): string {
    const text = this.#text(instruction, word).trim();
    if (text !== '') return text;
    throw badValue(instruction.line, word, `${instruction.keyword} is empty when its variables are replaced`);
  }

  #pairs(instruction: Instruction, { pairs }: MeaningOf<'env'>): [string, string][] {
    return pairs.map(({ name, value }) => [this.#needed(instruction, name), this.#text(instruction, value)]);
  }

  #arg(instruction: Instruction, { args }: MeaningOf<'arg'>): undefined {
    const { given, globals } = this.#scope;
    for (const { name, value } of args) {
      this.#warnOfSecret(instruction, 'ARG', name.text);
      const own = value === undefined || given.has(name.text) ? undefined : this.#text(instruction, value);
      const set = given.get(name.text) ?? own ?? globals.get(name.text);
      if (set !== undefined) this.#args.set(name.text, set);
    }
  }

  #copy(instruction: Instruction, { kind, flags, sources, destination }: MeaningOf<'copy'>): CopyStep {
    const { line } = instruction;
    const flag = (word: Word | undefined) => word && { word, text: this.#text(instruction, word) };
    const chmod = flag(flags.chmod);
    const mode = chmod && parseMode(chmod.text);
    if (chmod !== undefined && mode === undefined) {
      throw badValue(line, chmod.word, `${JSON.stringify(chmod.text)} is no mode`, 'write it as 0644 or u=rwX,go=rX');
    }
    if (flags.from?.text.includes('$')) {
      throw badValue(
        line,
        flags.from,
        '--from takes no variables',
        'give the image a stage with FROM, which takes those of ARG before it, and copy from the stage',
      );
    }
    const words = sources.filter((source): source is Word => 'text' in source);
    const heredocs = sources.filter((source): source is Heredoc => !('text' in source));
    return {
      kind,
      sources: words.map((word) => ({ word, text: this.#text(instruction, word) })),
      heredocs: heredocs.map(({ name, expand, content }) => ({
        name,
        content: expand ? this.#text(instruction, { text: content, at: instruction.keywordWord.at }, true) : content,
      })),
      destination: this.#absolute(this.#text(instruction, destination)),
      destinationWord: destination,
      from: flags.from,
      owner: flag(flags.chown),
      mode,
      exclude: flags.exclude,
      checksum: flag(flags.checksum),
      parents: flags.parents,
      link: flags.link,
      unpack: flags.unpack,
    };
  }

  /** Relative to the working folder; a slash at the end stays, and `.` becomes one. */
  #absolute(path: string): string {
    const whole = path.startsWith('/') ? path : posix.join(this.#config.WorkingDir ?? '/', path === '' ? '.' : path);
    const isFolder = path === '' || /(?:^|\/)\.{0,2}$/.test(path);
    const normal = posix.normalize(`/${whole}`).replace(/^\/+/, '/').replace(/\/+$/, '');
    return isFolder ? `${normal}/` : normal;
  }

  #workdir(instruction: Instruction, word: Word): FolderStep {
    const path = this.#absolute(this.#needed(instruction, word)).replace(/(?<=.)\/$/, '');
    this.#config.WorkingDir = path;
    return { kind: 'folder', path, owner: this.#config.User };
  }

  #expose(instruction: Instruction, words: readonly Word[]): void {
    for (const word of words) {
      const { words: ports } = substituteWord(instruction.line, word, this.#scope.escape, this.#variable);
      this.#text(instruction, word);
      for (const port of ports) {
        const found = exposedPorts(port);
        if (found === undefined) {
          throw badValue(
            instruction.line,
            word,
            `${JSON.stringify(port)} is not a port`,
            'write it as 8080, 53/udp or 8000-8010',
          );
        }
        if (port.includes(':')) this.#warn(instruction, `EXPOSE ${port}: only the container's port counts`);
        this.#config.ExposedPorts = {
          ...this.#config.ExposedPorts,
          ...Object.fromEntries(found.map((each) => [each, {}])),
        };
      }
    }
  }

  /** What is no JSON is for the shell, as the reference has it; mostly it was meant as a list. */
  #warnOfList(instruction: Instruction, command: MeaningOf<'cmd'>['command']): void {
    if (!('shell' in command) || !/^\s*\[\s*['"]/.test(command.shell)) return;
    this.#warn(
      instruction,
      `${instruction.keyword} is given to a shell: as a list it would need the form of JSON, ["a", "b"]`,
    );
  }

  #warnOfSecret(instruction: Instruction, keyword: string, name: string): void {
    if (!secretName.test(name) || /public/i.test(name)) return;
    this.#warn(
      instruction,
      `${keyword} ${name} looks like a secret, and what it holds can be read in the image or its history`,
    );
  }

  #warn(instruction: Instruction, message: string): void {
    const line = instruction.line.pieces[0]?.line ?? 1;
    if (this.#warned.has(`${line} ${message}`)) return;
    this.#warned.add(`${line} ${message}`);
    this.#warnings.push({ instruction, line, message });
  }
}

function setOrDelete(config: RuntimeConfig, key: 'Cmd' | 'Entrypoint', words: string[]): void {
  if (words.length === 0) delete config[key];
  else config[key] = words;
}

function badValue(line: LogicalLine, word: Word, message: string, next?: string): DockerfileFault {
  return new DockerfileFault('dockerfile/bad-value', message, { place: placeOf(line, word), next });
}
