/** `failed-files.ts REPORT`: the files that failed, a line each, by the report that vitest's reporter `json` wrote. */
import { readFileSync } from 'node:fs';
import { filesOf, type Report } from './vitest-report.ts';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: failed-files.ts REPORT');
const files = filesOf(JSON.parse(readFileSync(path, 'utf8')) as Report);
for (const [name, { passes }] of files) if (!passes) console.log(name);
