import { mkdirSync, openSync, writeSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { machineFault } from './machine.ts';
import { faultToJson, renderFault } from './render.ts';

function errorOf(body: () => void): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error('it should have failed');
}

describe('an error of the system', () => {
  it('that the disk is full is told as that', () => {
    // The device that is always full; see full(4).
    const error = errorOf(() => writeSync(openSync('/dev/full', 'w'), 'x'));
    expect(renderFault(error)).toMatch(
      /^error\[machine\/disk-full\]: there is no space left on the disk: write\n {2}next: /,
    );
    expect(faultToJson(error)).toMatchObject({ code: 'machine/disk-full' });
  });

  it('says which path it is about', () => {
    const error = Object.assign(new Error("EROFS: read-only file system, mkdir '/a'"), {
      code: 'EROFS',
      syscall: 'mkdir',
      path: '/a',
    });
    expect(renderFault(error)).toMatch(/^error\[machine\/read-only\]: the file system can only be read: mkdir \/a\n/);
  });

  it('that may be a defect stays one, and so does what only looks like one of the system', () => {
    expect(machineFault(errorOf(() => mkdirSync('/')))).toBeUndefined();
    expect(machineFault(Object.assign(new Error('x'), { code: 'ENOSPC' }))).toBeUndefined();
    expect(renderFault(new TypeError('x'))).toContain('a defect of Banksman');
  });
});
