import type { LogicalLine, Word } from './source.ts';
import type { Flag } from './words.ts';

/** `<<EOF` in an instruction, with the lines that belong to it. */
export interface Heredoc {
  /** The word that ends it. */
  readonly name: string;
  /** Variables in it are replaced: its name stands without quotes. */
  readonly expand: boolean;
  /** `<<-`: tabs at the start of its lines are left out. */
  readonly chomp: boolean;
  readonly content: string;
  /** Line of the file where the content begins, 1-based. */
  readonly line: number;
}

/** `["a", "b"]`, or text for a shell. */
export type CommandLine = { readonly exec: readonly string[] } | { readonly shell: string };

export interface Pair {
  readonly name: Word;
  readonly value: Word;
}

export interface Argument {
  readonly name: Word;
  readonly value: Word | undefined;
}

export interface CopyFlags {
  readonly from: Word | undefined;
  readonly chown: Word | undefined;
  readonly chmod: Word | undefined;
  readonly checksum: Word | undefined;
  readonly exclude: readonly Word[];
  readonly parents: boolean;
  readonly link: boolean;
  /** ADD: undefined where it is not said. */
  readonly unpack: boolean | undefined;
}

export interface HealthCheck {
  /** Undefined for NONE. */
  readonly command: CommandLine | undefined;
  /** Nanoseconds, as image configurations have them; 0 where it is not said. */
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
}

/** What an instruction says. Words are as written: variables in them are replaced by whoever carries them out. */
export type Meaning =
  | {
      readonly kind: 'from';
      readonly image: Word;
      readonly platform: Word | undefined;
      /** In lower case. */
      readonly stage: string | undefined;
    }
  | { readonly kind: 'arg'; readonly args: readonly Argument[] }
  | { readonly kind: 'env' | 'label'; readonly pairs: readonly Pair[] }
  | {
      readonly kind: 'copy' | 'add';
      readonly flags: CopyFlags;
      readonly sources: readonly (Word | Heredoc)[];
      readonly destination: Word;
    }
  | {
      readonly kind: 'run';
      readonly flags: readonly Flag[];
      readonly command: CommandLine;
      readonly heredocs: readonly Heredoc[];
    }
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: CommandLine }
  | { readonly kind: 'shell'; readonly words: readonly string[] }
  | { readonly kind: 'expose' | 'volume'; readonly words: readonly Word[] }
  | { readonly kind: 'user' | 'workdir' | 'stopsignal' | 'maintainer'; readonly word: Word }
  | { readonly kind: 'healthcheck'; readonly check: HealthCheck }
  | {
      readonly kind: 'onbuild';
      /** As it goes into the image's configuration. */
      readonly text: string;
      readonly trigger: Instruction;
    };

export interface Instruction {
  readonly line: LogicalLine;
  /** In capitals. */
  readonly keyword: string;
  readonly keywordWord: Word;
  readonly meaning: Meaning;
}

/** What an instruction of one kind says. */
export type MeaningOf<Kind extends Meaning['kind'], Each = Meaning> = Each extends { readonly kind: infer Kinds }
  ? Kind extends Kinds
    ? Each
    : never
  : never;

/** An instruction of one kind. */
export type InstructionOf<Kind extends Meaning['kind']> = Instruction & { readonly meaning: MeaningOf<Kind> };

export const keywords = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
] as const;
