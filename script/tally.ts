/**
 * Adds up the results of a run of script/test: `tally.ts FOLDER` reads vitest's and Banksman's JSON and `go test -json`
 * files and prints `N passed, N failed` as its last line. What `NAME.again.json` holds is the second run of the files that
 * failed in `NAME.json`; those that passed then are named as unstable.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { filesOf, type Report } from './vitest-report.ts';

interface Tally {
  passed: number;
  failed: number;
}

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: tally.ts FOLDER');
const total: Tally = { passed: 0, failed: 0 };
const unstable: string[] = [];
for (const file of existsSync(folder) ? readdirSync(folder).sort() : []) {
  if (file.endsWith('.again.json')) continue;
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  const part = file.endsWith('.go.jsonl') ? goTests(text) : file.endsWith('.targets.json') ? targets(text) : vitest(path);
  console.log(`${file.replace(/\..*/, '')}: ${part.passed} passed, ${part.failed} failed`);
  total.passed += part.passed;
  total.failed += part.failed;
}
for (const each of unstable) console.log(`UNSTABLE: ${each} failed, and passed when it was run again: mend it`);
console.log(`${total.passed} passed, ${total.failed} failed`);

function vitest(path: string): Tally {
  const read = (each: string) => filesOf(JSON.parse(readFileSync(each, 'utf8')) as Report);
  const files = read(path);
  const second = join(folder as string, `${basename(path, '.json')}.again.json`);
  for (const [name, again] of existsSync(second) ? read(second) : []) {
    if (again.passes) unstable.push(relative('.', name));
    files.set(name, again);
  }
  const sum = (key: 'passed' | 'failed') => [...files.values()].reduce((all, each) => all + each[key], 0);
  return { passed: sum('passed'), failed: sum('failed') };
}

/** See `go doc test2json`: one event a line. */
function goTests(text: string): Tally {
  const events = text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { Action: string; Test?: string });
  const count = (action: string) => events.filter((event) => event.Test !== undefined && event.Action === action).length;
  return { passed: count('pass'), failed: count('fail') };
}

/** `banksman test --json` */
function targets(text: string): Tally {
  const results = JSON.parse(text) as { passed: boolean }[];
  const passed = results.filter((result) => result.passed).length;
  return { passed, failed: results.length - passed };
}
