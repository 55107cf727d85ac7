import type { Place } from '../fault/index.ts';
import type { Timeouts } from './timeouts.ts';

/** A label in its full form, `//package/path:name` (`//:name` in the root package). `//a/b` is spelled `//a/b:b`. */
export type Label = `//${string}`;

/** Something that a target reads: a file of its package, another target's outputs, or (as a tool) a program. */
export type Input =
  | { readonly kind: 'file' /** relative to the workspace root, `/` between parts */; readonly path: string }
  | {
      readonly kind: 'label';
      readonly label: Label;
      /** Only the outputs of this name: `//a:b|headers`. */
      readonly named?: string;
    }
  /** Only among tools: a program of the system, by its name. */
  | { readonly kind: 'program'; readonly name: string }
  /** Among sources and tools: a file or folder of the system, absolute or below the home folder (`~/...`). */
  | { readonly kind: 'system'; readonly path: string };

/** Inputs in the order written; named groups keep their names (`srcs = {"main": [...], "test": [...]}`). */
export interface Inputs {
  readonly all: readonly Input[];
  readonly named: Readonly<Record<string, readonly Input[]>>;
}

/** How a target's outputs come to be. */
export type Action =
  /** A bash command, with Please's variables ($SRCS, $OUT, $TOOLS_X, $(location //x:y), ...). */
  | { readonly kind: 'shell'; readonly command: string }
  /** Made by this program itself, see `BuiltinActions` of src/build: `image`, `debian_package`, `k8s_config`, `maven_jar`... */
  | { readonly kind: 'builtin'; readonly name: string; readonly config: Json }
  /** Outputs are the inputs as they are. */
  | { readonly kind: 'filegroup' }
  /** One output with this text. */
  | { readonly kind: 'text'; readonly content: string };

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface Test {
  /** Run as the action's command is, with the target's outputs and data laid out. */
  readonly command: string;
  /** Seconds. */
  readonly timeout: number;
  /** Runs tried before a failure counts; 1 for a test that is not flaky. */
  readonly attempts: number;
  readonly tools: Inputs;
  /** The test writes no result file; only its exit code counts. */
  readonly noOutput: boolean;
  /** False where the test may use the network; true unless told. */
  readonly sandbox?: boolean;
  /** Files that the test may leave behind beside its results, relative to the folder it runs in. */
  readonly outputs?: readonly string[];
}

/** What a target with `stamp` knows of the commit that it is built from. All of it is empty outside of a git repository. */
export interface Stamp {
  /** The commit's id. */
  readonly revision: string;
  /** As `git describe --always` names it. */
  readonly describe: string;
  /** When it was made: YYYYMMDD. */
  readonly date: string;
}

/** One build rule's result, as evaluation leaves it. All fields are plain frozen data. */
export interface Target {
  readonly label: Label;
  /** '' in the root package. */
  readonly package: string;
  readonly name: string;
  /** The outermost rule that a BUILD file called: `go_binary`, `docker_image`, `k8s_config`, `build_rule`. */
  readonly rule: string;
  readonly place: Place;
  /** What to show while it is being built, where the rule says so. */
  readonly description?: string;
  readonly srcs: Inputs;
  readonly tools: Inputs;
  /** Needed when the target is run or tested, not when it is built. */
  readonly data: Inputs;
  readonly deps: readonly Label[];
  /** Dependencies that dependants see as their own. */
  readonly exportedDeps: readonly Label[];
  /**
   * Paths relative to the package's folder below the output root, named ones included. Empty for a filegroup, whose
   * outputs are its sources, in the folder of its own package.
   */
  readonly outs: readonly string[];
  readonly namedOuts: Readonly<Record<string, readonly string[]>>;
  readonly action: Action;
  readonly env: Readonly<Record<string, string>>;
  readonly passEnv: readonly string[];
  /** Free words for selection: `--include go`. Not labels of targets. */
  readonly labels: readonly string[];
  /** Patterns of who may depend on this: `PUBLIC`, `//bank/...`. Empty: the own package only. */
  readonly visibility: readonly string[];
  readonly testOnly: boolean;
  /** The outputs are programs. */
  readonly binary: boolean;
  /** The action sees the outputs of all dependencies, however far. */
  readonly needsTransitiveDeps: boolean;
  /** Stops transitive closures at this target: it holds what its dependencies gave (a linked binary). */
  readonly outputIsComplete: boolean;
  /** What this target needs of a dependency that `provides` several things. */
  readonly requires: readonly string[];
  readonly provides: Readonly<Record<string, readonly Label[]>>;
  /** Sums (hex) one of which the outputs must have: for what is downloaded. SHA-256, or another that the workspace lets count. */
  readonly hashes: readonly string[];
  /** False where the action may use the network. */
  readonly sandbox: boolean;
  /** Seconds; undefined for the default. */
  readonly timeout: number | undefined;
  readonly test: Test | undefined;
  /** Licences that the target's files may be used under, any one of them. */
  readonly licences?: readonly string[];
  /** Outputs that are programs of their own, by name; among `namedOuts` too. */
  readonly entryPoints?: Readonly<Record<string, string>> | undefined;
  /** Commands by build configuration, where the rule gives several. The action has the one chosen. */
  readonly commands?: Readonly<Record<string, string>>;
  /**
   * Folders that the action writes to, whose content becomes outputs of the target: each file and folder in it, or with
   * `/**` behind it each file however deep.
   */
  readonly outputDirs?: readonly string[];
  /** Patterns of files that the action may make for people to look at: dependants don't see them. */
  readonly optionalOuts?: readonly string[];
  /** Files that only the action may read, absolute or below the home folder (`~/...`). Their content is part of nothing. */
  readonly secrets?: Secrets;
  readonly stamp?: Stamp;
  /** The action finds the names of its sources in files, for more than an environment can hold. */
  readonly srcListFiles?: true;
  /** Whether commands end at their first error; where nobody says, actions do and tests don't. */
  readonly exitOnError?: boolean;
  /** Those among `deps` that are the target's own business: they don't count for dependants that want all that it reaches. */
  readonly internalDeps?: readonly Label[];
  /** The result is not shared with other machines. */
  readonly local?: true;
  /** A function changes the graph once the action has run. The function itself is with the evaluation, see `GrowingTargets`. */
  readonly postBuild?: PostBuild;
  /** The action prints how far it is, as `[ 42%]`. */
  readonly progress?: true;
}

export interface PostBuild {
  /** SHA-256 in hex over the function's code and all that it can come to use. */
  readonly definition: string;
  /**
   * What it does can hang on more than its own target: it may make targets, add dependencies, read files or look at other targets.
   */
  readonly open: boolean;
}

export interface Secrets {
  readonly all: readonly string[];
  readonly named: Readonly<Record<string, readonly string[]>>;
}

/** A file of built-in rules, preloaded in every BUILD file. */
export interface RuleFile {
  readonly path: string;
  readonly source: string;
}

export interface Package {
  /** '' for the root. */
  readonly name: string;
  /** Path of its BUILD file. */
  readonly file: string;
  readonly targets: ReadonlyMap<string, Target>;
}

/** Where services go: a cluster, a namespace in it, and what differs there. */
export interface Environment {
  readonly name: string;
  /** `local`, or another name for a cluster that `context` reaches. */
  readonly cluster: string;
  readonly namespace: string;
  /** Context of the user's kubeconfig. */
  readonly context?: string;
  /** What image references begin with; the workspace's unless told. */
  readonly registry: string;
  readonly parameters: Readonly<Record<string, Json>>;
  /** The environment that releases come from; undefined for one that takes them from commits. */
  readonly after?: string;
  /** It takes what is healthy before it by itself. */
  readonly automatic?: boolean;
  /** Milliseconds from a rollout's start until it must be healthy. */
  readonly deadline?: number;
  /** Milliseconds that a rollout may wait for its gates. */
  readonly patience?: number;
  /** After a failure: go back to the last healthy release and hold, or only hold. */
  readonly onFailure?: 'return' | 'stop';
  /** Patterns of the services that are meant where none is named; all of the workspace unless told. */
  readonly services?: readonly string[];
  /** Names of patch sets, applied one after the other; its own name unless told. */
  readonly patches?: readonly string[];
  /** What must hold before a rollout may start, in the order written. */
  readonly gates?: readonly GateForm[];
  /** What is done about objects that somebody changed by hand; reported unless told. */
  readonly drift?: 'correct' | 'report';
  /** By which shares of the replicas a release comes in: the first that is about a service; at once where none is. */
  readonly progressive?: readonly ProgressiveForm[];
  readonly place: Place;
}

/** `progressive`: for which services, and by which steps. */
export interface ProgressiveForm {
  /** All of the environment's where it is absent. */
  readonly services?: readonly Label[];
  /** With growing shares; none where the release comes in whole. */
  readonly steps: readonly StepForm[];
  readonly place: Place;
}

export interface StepForm {
  /** Percent of the replicas, 1 to 99. */
  readonly share: number;
  /** Milliseconds that it stays so once the pods are ready. */
  readonly lasts: number;
  /** What has to hold all that time. */
  readonly check?:
    | ({ readonly kind: 'metric' } & MetricForm)
    /** A verification job of the release, by the name in its manifest. */
    | { readonly kind: 'job'; readonly name: string };
}

/** What a metric has to be like. */
export interface MetricForm {
  /** Address of a Prometheus server. */
  readonly url: string;
  readonly query: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** A gate of an environment, as banksman.yaml says it. Names are unique in an environment. */
export type GateForm = { readonly name: string; readonly place: Place } & (
  | { readonly kind: 'soak'; readonly duration: number }
  | { readonly kind: 'tests'; readonly targets: readonly Label[] }
  | { readonly kind: 'approvals'; readonly count: number; readonly role?: string }
  /** Open while one of the spans lasts. */
  | { readonly kind: 'window'; readonly spans: readonly SpanForm[] }
  /** Shut while one of the spans lasts. */
  | { readonly kind: 'freeze'; readonly spans: readonly SpanForm[] }
  | ({ readonly kind: 'metric' } & MetricForm)
  | { readonly kind: 'provenance'; readonly policy: string }
);

/** A stretch of time in a zone, once or by a recurrence rule. */
export interface SpanForm {
  readonly name?: string;
  /** Local time, `2026-12-20T00:00`: RFC 5545's DTSTART. */
  readonly starts: string;
  /** How long each one lasts. Days are calendar days; the rest is exact (RFC 5545, 3.3.6). */
  readonly lasts: { readonly days: number; readonly milliseconds: number } | { readonly until: string };
  /** RFC 5545 RRULE, without its name. */
  readonly rule?: string;
  /** IANA name of a time zone. */
  readonly zone: string;
  readonly place: Place;
}

/** A parsed `banksman.yaml`, with defaults filled in. */
export interface Workspace {
  /** Absolute path of the folder that holds banksman.yaml. */
  readonly root: string;
  readonly name: string;
  readonly buildFiles: readonly string[];
  /** Files, relative to the root, that every BUILD file sees. */
  readonly buildDefs: readonly string[];
  /** Read in BUILD files as CONFIG. */
  readonly config: Readonly<Record<string, Json>>;
  /** `mirror`: where packages come from; the system's own Debian sources unless told. */
  readonly debian: { readonly suite: string; readonly mirror?: string };
  readonly environments: ReadonlyMap<string, Environment>;
  readonly registry: string;
  /** How registries are reached, by registry or registry and the first parts of a repository; undefined where nothing is said. */
  readonly registries?: Readonly<Record<string, RegistryForm>>;
  /** Whether a tag is the first 12 hex digits of the content's sum or all 64. */
  /** `run`: what carries RUN of Dockerfiles out; nothing does where it is absent. */
  readonly images: { readonly tags: 'short' | 'long'; readonly run?: 'buildah' };
  /** A cache of results that machines share; undefined where there is none. */
  readonly remoteCache?: RemoteCacheForm;
  /** Folders, by name, of subrepos: they stand in for what BUILD files would fetch. */
  readonly subrepos?: Readonly<Record<string, string>>;
  /** What a `.plzconfig` beside says. */
  readonly please?: PleaseConfig;
  /** Patterns of services that are promoted together, by the name of the set. */
  readonly sets?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly place: Place;
}

/** `registries`: paths are absolute or relative to the workspace root. */
export interface RegistryForm {
  /** PEM file with authorities beside the system's. */
  readonly ca?: string;
  /** PEM files of a certificate that this client shows. */
  readonly cert?: string;
  readonly key?: string;
  readonly plainHttp?: boolean;
  /** Registries, with a path where there is one, that are asked first when something is pulled. */
  readonly mirrors?: readonly string[];
}

/** `remote_cache`: a server of the Remote Execution API, version 2. */
export interface RemoteCacheForm {
  /** `grpcs://host:port`, or `grpc://host:port` without TLS. */
  readonly url: string;
  /** Variable that holds the token. */
  readonly tokenEnv?: string;
  /** File that holds the token, absolute or relative to the workspace root. */
  readonly tokenFile?: string;
  /** PEM file with the certificates that the server's is checked against; absolute or relative to the workspace root. */
  readonly ca?: string;
  /** Name of the server's instance; empty unless told. */
  readonly instance: string;
  /** Whether results are sent to it; true unless told. */
  readonly upload: boolean;
  readonly place: Place;
}

/** Ways to a sum over outputs, by their names in Please. */
export type SumAlgorithm = 'sha1' | 'sha256' | 'blake3' | 'crc32' | 'crc64' | 'xxhash';

/** What of Please's `.plzconfig` matters to the graph. */
export interface PleaseConfig {
  /** Empty where it doesn't say. */
  readonly buildFiles: readonly string[];
  readonly buildDefs: readonly string[];
  /** Labels that every BUILD file subincludes. */
  readonly preloadedSubincludes: readonly string[];
  /** Folders that hold no packages of this repository. */
  readonly ignoredFolders: readonly string[];
  readonly passEnv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, Json>>;
  /** By name in small letters: where a plugin comes from and what its rules are told. */
  readonly plugins: Readonly<
    Record<string, { readonly target?: string; readonly config: Readonly<Record<string, Json>> }>
  >;
  readonly gitFunctions: boolean;
  readonly timeouts: Timeouts;
  /** Sums that count where a target locks its outputs; `usualSums` where it is absent. */
  readonly sums?: readonly SumAlgorithm[];
  /** Whether commands end at their first error, tests among them. */
  readonly exitOnError?: boolean;
  /** Licences under which targets may be used, any one of a target's; all but the rejected ones where none is accepted. */
  readonly licences: { readonly accept: readonly string[]; readonly reject: readonly string[] };
  /** Patterns of targets that may do without the sandbox; any may where it is empty. */
  readonly unconfinedTargets: readonly string[];
  /** Where the repository is a plugin itself: its name and its settings with what is said of each. */
  readonly plugin?: {
    readonly name: string;
    readonly keys: Readonly<Record<string, PluginKey>>;
  };
}

/** What a plugin says of one of its settings: words in small letters, each with all its values. */
export type PluginKey = Readonly<Record<string, readonly string[]>>;
