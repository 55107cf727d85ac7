import { constants } from 'node:os';
import type { CommandLine, HealthCheck } from './instruction.ts';

/** The `config` of an image: image-spec config.md, and Docker's Healthcheck, Shell and OnBuild. */
export interface RuntimeConfig {
  User?: string;
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  WorkingDir?: string;
  ExposedPorts?: Record<string, object>;
  Volumes?: Record<string, object>;
  Labels?: Record<string, string>;
  StopSignal?: string;
  Healthcheck?: Record<string, unknown>;
  Shell?: string[];
  OnBuild?: string[];
}

export const defaultShell = ['/bin/sh', '-c'];

/** A configuration of another tool's making, as far as instructions change it; what else it has stays. */
export function configOf(base: Readonly<Record<string, unknown>>): RuntimeConfig & Record<string, unknown> {
  const config: RuntimeConfig & Record<string, unknown> = { ...base };
  const texts = (value: unknown) =>
    Array.isArray(value) && value.every((entry) => typeof entry === 'string') ? [...value] : undefined;
  const record = <T>(value: unknown): Record<string, T> | undefined =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...(value as Record<string, T>) }
      : undefined;
  const set = <Key extends keyof RuntimeConfig>(key: Key, value: RuntimeConfig[Key] | undefined) => {
    if (value === undefined) delete config[key];
    else Object.assign(config, { [key]: value });
  };
  for (const key of ['Env', 'Entrypoint', 'Cmd', 'Shell', 'OnBuild'] as const) set(key, texts(base[key]));
  set('ExposedPorts', record<object>(base.ExposedPorts));
  set('Volumes', record<object>(base.Volumes));
  set('Labels', record<string>(base.Labels));
  for (const key of ['User', 'WorkingDir', 'StopSignal'] as const) {
    const value = base[key];
    set(key, typeof value === 'string' && value !== '' ? value : undefined);
  }
  return config;
}

/** Variables of a configuration; of a name twice the last counts. */
export function environmentOf({ Env = [] }: RuntimeConfig): Map<string, string> {
  return new Map(
    Env.map((entry) => {
      const equals = entry.indexOf('=');
      return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

/** In the place of the variable's earlier value, or at the end. */
export function setVariable(config: RuntimeConfig, name: string, value: string): void {
  const list = config.Env ?? [];
  const at = list.findIndex((entry) => entry === name || entry.startsWith(`${name}=`));
  if (at < 0) list.push(`${name}=${value}`);
  else list[at] = `${name}=${value}`;
  config.Env = list;
}

/** The list that a runtime starts; the shell form is a line for the image's shell. */
export function commandWords(config: RuntimeConfig, command: CommandLine): string[] {
  if ('exec' in command) return [...command.exec];
  return command.shell === '' ? [] : [...(config.Shell ?? defaultShell), command.shell];
}

export function healthcheckObject(check: HealthCheck): Record<string, unknown> {
  const { command, interval, timeout, startPeriod, startInterval, retries } = check;
  if (command === undefined) return { Test: ['NONE'] };
  return {
    Test: 'exec' in command ? ['CMD', ...command.exec] : ['CMD-SHELL', command.shell],
    ...(interval > 0 && { Interval: interval }),
    ...(timeout > 0 && { Timeout: timeout }),
    ...(startPeriod > 0 && { StartPeriod: startPeriod }),
    ...(startInterval > 0 && { StartInterval: startInterval }),
    ...(retries > 0 && { Retries: retries }),
  };
}

/** `15`, `SIGTERM`, `TERM`, `SIGRTMIN+3`. */
export function isSignal(text: string): boolean {
  if (/^[0-9]{1,2}$/.test(text)) return Number(text) >= 1 && Number(text) <= 64;
  const name = text.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  return name in constants.signals || /^SIGRTM(?:IN(?:\+(?:[0-9]|1[0-5]))?|AX(?:-(?:[0-9]|1[0-4]))?)$/.test(name);
}

/** At most as many as there are. */
const highestPort = 65_535;

/**
 * `80`, `80/udp`, `8000-8010`; what stands before a colon is for the host and says nothing here.
 *
 * @returns `80/tcp`, ...; undefined where the text is none of these
 */
export function exposedPorts(text: string): string[] | undefined {
  const [, range = '', protocol = 'tcp'] = /^(?:[^/]*:)?([0-9-]+)(?:\/([a-zA-Z]*))?$/.exec(text) ?? [];
  const [, first, last = first] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(range) ?? [];
  const kind = protocol === '' ? 'tcp' : protocol.toLowerCase();
  if (first === undefined || !['tcp', 'udp', 'sctp'].includes(kind)) return undefined;
  const from = Number(first);
  const to = Number(last);
  if (to < from || to > highestPort) return undefined;
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${kind}`);
}
