import { readFileSync } from 'node:fs';

/**
 * A process that can be told from a later one with the same id: ids are used again, the time of the start isn't.
 */
export interface Identity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since the machine's start. See proc_pid_stat(5). */
  readonly started: string;
}

interface ProcessStat {
  /** `R`, `S`, `Z`... */
  readonly state: string;
  readonly parent: number;
  readonly started: string;
  /** Resident pages. */
  readonly pages: number;
}

/** @returns undefined where there is no such process */
export function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name stands in brackets and may hold spaces and brackets itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    state: fields[0] ?? 'X',
    parent: Number(fields[1]),
    started: fields[19] ?? '',
    pages: Number(fields[21] ?? 0),
  };
}

/** @returns undefined where the process is gone, or is dead and waits for its parent */
export function identify(pid: number): Identity | undefined {
  const stat = readStat(pid);
  return stat === undefined || isDead(stat) ? undefined : { pid, started: stat.started };
}

export function isAlive(identity: Identity): boolean {
  const stat = readStat(identity.pid);
  return stat !== undefined && stat.started === identity.started && !isDead(stat);
}

/** Resident memory in bytes; 0 where the process is gone. */
export function residentBytes(identity: Identity): number {
  const stat = readStat(identity.pid);
  return stat?.started === identity.started ? stat.pages * pageSize : 0;
}

/** 4 KiB on amd64, and on arm64 as Debian and Ubuntu build it. */
const pageSize = 4096;

/** Sends a signal to just this process: not to a later one with its id. */
export function signal(identity: Identity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isDead(stat: ProcessStat): boolean {
  return stat.state === 'Z' || stat.state === 'X' || stat.state === 'x';
}

/** `PID STARTED`, as the guard's shell reads it. */
export function formatIdentity(identity: Identity): string {
  return `${identity.pid} ${identity.started}\n`;
}

export function parseIdentity(text: string): Identity | undefined {
  const match = /^(\d{1,10}) (\d{1,20})\s*$/.exec(text);
  return match ? { pid: Number(match[1]), started: match[2]! } : undefined;
}
