import { describe, expect, it } from 'vitest';
import { EvaluationError } from './fault.ts';
import { fulfils, isVersion } from './semver.ts';

describe('versions', () => {
  it.each([
    ['1.2.3', true],
    ['v1.2.3', true],
    ['1.2.3-rc.1+build.5', true],
    ['1.2', false],
    ['01.2.3', false],
    ['1.2.3-01', false],
    ['1.2.3-', false],
    ['x', false],
    ['', false],
  ])('%s is one: %s', (text, is) => {
    expect(isVersion(text)).toBe(is);
  });

  it.each([
    ['1.2.3', '>=1.2, <2', true],
    ['1.2.3', '>=1.2 <1.2.3', false],
    ['2.0.0', '>=1.2 <2 || =2.0.0', true],
    ['1.2.9', '~1.2.3', true],
    ['1.3.0', '~1.2.3', false],
    ['1.9.0', '~1', true],
    ['1.9.0', '^1.2.3', true],
    ['2.0.0', '^1.2.3', false],
    ['0.2.9', '^0.2.3', true],
    ['0.3.0', '^0.2.3', false],
    ['0.0.4', '^0.0.3', false],
    ['1.2.7', '1.2.x', true],
    ['1.3.0', '1.2.x', false],
    ['1.3.0', '1.2', false],
    ['1.3.0', '!=1.2.x', true],
    ['1.2.7', '>1.2', false],
    ['1.3.0', '>1.2', true],
    ['1.2.7', '<=1.2', true],
    ['9.9.9', '*', true],
    ['1.5.0', '1.2 - 2.3', true],
    ['2.4.0', '1.2 - 2.3', false],
    ['1.2.3-rc1', '>=1.0.0', false],
    ['1.2.3-rc1', '>=1.2.3-alpha', true],
    ['1.2.3-rc.10', '>1.2.3-rc.9', true],
    ['v1.2.3', '1.2.3', true],
    ['1.2', '>=1.1', true],
    ['1.2.3-rc1', '>=1.0.0-0, <2', true],
  ])('%s fulfils %s: %s', (version, constraint, does) => {
    expect(fulfils(version, constraint)).toBe(does);
  });

  it.each([
    ['1.2.3.4', '*'],
    ['1.2.3-01', '*'],
    ['1.2.3', ''],
    ['1.2.3', '>='],
    ['1.2.3', '>=a'],
    ['1.2.3', '1 ||'],
  ])('%s against %s is an error', (version, constraint) => {
    expect(() => fulfils(version, constraint)).toThrow(EvaluationError);
  });
});
