import { DockerfileFault } from './fault.ts';
import type { InstructionOf } from './instruction.ts';
import { placeOf } from './source.ts';

/** What people do in RUN, by the program that they call, and what does it here. The first that fits counts. */
const advice: readonly (readonly [RegExp, string])[] = [
  [
    /\b(?:apt|apt-get|dpkg|apk|yum|dnf|microdnf|zypper)\b/,
    'put the packages into a base image: docker_image(packages = [...]) of a debian_packages rule, and FROM its label',
  ],
  [
    /\b(?:go (?:build|install|mod|get)|make)\b/,
    'build the program with go_binary or a genrule, name it in srcs, and COPY it',
  ],
  [/\b(?:mvnw?|gradlew?|javac|ant|sbt)\b/, 'build the jar with java_binary, name it in srcs, and COPY it'],
  [
    /\b(?:pip3?|poetry|uv|python3? -m (?:pip|venv))\b/,
    'build the program with python_binary, name it in srcs, and COPY it',
  ],
  [
    /\b(?:npm|yarn|pnpm|npx|cargo|bundle|gem|composer|dotnet|cmake)\b/,
    'build it with a genrule, name that in srcs, and COPY what it makes',
  ],
  [/\b(?:curl|wget|git clone)\b/, 'fetch it with remote_file, which locks its sum, name that in srcs, and COPY it'],
  [
    /\b(?:useradd|adduser|groupadd|addgroup|usermod)\b/,
    'make accounts in a base image: docker_image(users = {"app": 1000}), and FROM its label',
  ],
  [/^\s*(?:chown|chmod)\b/, 'use COPY --chown and --chmod'],
  [/^\s*(?:mkdir|install -d)\b/, 'use WORKDIR, which makes the folder, or docker_image(folders = {...}) below it'],
  [/^\s*ln\b/, 'make links in a base image: docker_image(symlinks = {...}), or in a genrule whose folder is copied'],
  [/\b(?:tar|unzip|gunzip)\b/, 'ADD unpacks tar archives by itself; for others use a genrule'],
  [/\bupdate-ca-certificates\b/, 'name them in docker_image(certificates = [...]) of a base image'],
  [
    /\b(?:sed|envsubst|echo|printf|cat)\b/,
    'make the file with a genrule or text_file, name that in srcs, and COPY it; or write it as a heredoc of COPY',
  ],
];

/** What to do in place of a command of RUN. */
export function adviceFor(command: string): string {
  const found = advice.find(([pattern]) => pattern.test(command));
  return found?.[1] ?? 'do it in a genrule, name that in srcs, and COPY what it makes';
}

/** More of them in one answer would hide the first. */
const maximumTold = 20;

/** The fault of a RUN where nothing may run, with each of the others: whoever arrives with a Dockerfile sees all that is to do. */
export function refuseRuns(instructions: readonly InstructionOf<'run'>[]): DockerfileFault {
  const [first, ...others] = instructions
    .slice(0, maximumTold)
    .map((instruction, index) => refusal(instruction, index));
  if (first === undefined) throw new Error('there is a RUN to refuse');
  const { code, message, place, notes, next } = first;
  const left = instructions.length - maximumTold;
  const more = left > 0 ? [`and ${left} more`] : [];
  return new DockerfileFault(code, message, { place, notes: [...notes, ...more], next, others });
}

function refusal({ line, keywordWord, meaning }: InstructionOf<'run'>, index: number): DockerfileFault {
  const { command } = meaning;
  const text = 'exec' in command ? command.exec.join(' ') : command.shell;
  const isFirst = index === 0;
  return new DockerfileFault(
    'dockerfile/run-refused',
    isFirst ? 'RUN is not carried out: an image is put together of files, and nothing runs in it' : 'nor is this one',
    {
      place: placeOf(line, { text: line.text.slice(keywordWord.at).trimEnd(), at: keywordWord.at }),
      notes: isFirst
        ? [
            'what a RUN makes differs from day to day and from machine to machine; docs/dockerfiles.md has more, and says how to turn it on for a while',
          ]
        : [],
      next: adviceFor(text),
    },
  );
}
