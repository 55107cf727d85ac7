import { Fault } from './fault.ts';

/** What the machine has not enough of, or does not let happen. */
export class MachineFault extends Fault<
  'machine/disk-full' | 'machine/read-only' | 'machine/no-permission' | 'machine/too-many-files' | 'machine/disk-broken'
> {}

interface Trouble {
  readonly code: MachineFault['code'];
  readonly says: string;
  readonly next: string;
}

const full: Trouble = {
  code: 'machine/disk-full',
  says: 'there is no space left on the disk',
  next: 'make room and start again: nothing is lost. ~/.cache/banksman may be deleted whenever you like',
};
const closed: Trouble = {
  code: 'machine/no-permission',
  says: 'the system does not permit it',
  next: 'look at who may read and write there (ls -ld), and as whom this runs (id)',
};
const many: Trouble = {
  code: 'machine/too-many-files',
  says: 'too many files are open',
  next: 'raise the limit (ulimit -n), or do less at a time (-j 1)',
};

const troubles: Readonly<Record<string, Trouble>> = {
  ENOSPC: full,
  EDQUOT: { ...full, says: 'no more space on the disk is allowed to this user (quota)' },
  EROFS: {
    code: 'machine/read-only',
    says: 'the file system can only be read',
    next: 'work in a place that can be written to; queries need none',
  },
  EACCES: closed,
  EPERM: closed,
  EMFILE: many,
  ENFILE: many,
  EIO: {
    code: 'machine/disk-broken',
    says: 'the disk gives an error',
    next: "look at the system's log (dmesg): a disk may be failing",
  },
};

/** An error of the system that is no defect of the program, as a fault; undefined for every other one. */
export function machineFault(error: unknown): MachineFault | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, syscall, path, dest } = error as NodeJS.ErrnoException & { readonly dest?: string };
  const trouble = code === undefined || syscall === undefined ? undefined : troubles[code];
  if (trouble === undefined) return undefined;
  const place = dest ?? path;
  const where = place === undefined ? `: ${syscall}` : `: ${syscall} ${place}`;
  return new MachineFault(trouble.code, `${trouble.says}${where}`, { next: trouble.next, cause: error });
}
