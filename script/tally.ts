/**
 * Adds up the results of a run of script/test: `tally.ts FOLDER` reads vitest's and Banksman's JSON and `go test -json`
 * files and prints `N passed, N failed` as its last line.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Tally {
  passed: number;
  failed: number;
}

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: tally.ts FOLDER');
const total: Tally = { passed: 0, failed: 0 };
for (const file of existsSync(folder) ? readdirSync(folder).sort() : []) {
  const text = readFileSync(join(folder, file), 'utf8');
  const part = file.endsWith('.go.jsonl') ? goTests(text) : file.endsWith('.targets.json') ? targets(text) : vitest(text);
  console.log(`${file.replace(/\..*/, '')}: ${part.passed} passed, ${part.failed} failed`);
  total.passed += part.passed;
  total.failed += part.failed;
}
console.log(`${total.passed} passed, ${total.failed} failed`);

function vitest(text: string): Tally {
  const report = JSON.parse(text) as { numPassedTests: number; numFailedTests: number };
  return { passed: report.numPassedTests, failed: report.numFailedTests };
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
