import { lstat, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import type { Target } from '../graph/index.ts';
import type { Task } from '../progress/index.ts';
import {
  defaultTimeout,
  groups,
  layoutOf,
  layResolved,
  logFile,
  programFolders,
  shellArguments,
  systemFiles,
  timedOut,
  type Workshop,
} from './action.ts';
import type { Artifact } from './artifact.ts';
import type { TestRecord } from './cache.ts';
import { collectOne } from './collect.ts';
import { type Executed, execute } from './execute.ts';
import { BuildFault } from './fault.ts';
import { isGoResults, parseGoResults } from './go-results.ts';
import { type History, testName } from './history.ts';
import { type InputSource, laidPaths, type Resolved, resolveInputs, resolveToolData } from './inputs.ts';
import { formatJunit, parseJunit } from './junit.ts';
import { type KeyParts, keyOf, testArguments, testKeyParts } from './key.ts';
import { lastLines } from './log.ts';
import { makeOnce } from './make-once.ts';
import { materialise } from './materialise.ts';
import { makeScratch, toolsFolder } from './scratch.ts';
import { pathOf } from './target.ts';
import { resolveTool } from './tool.ts';
import type { TestCase, TestedTarget } from './types.ts';
import { type Layout, substitute, testEnvironment } from './variables.ts';
import { explain } from './why.ts';

export interface TestRun {
  readonly shop: Workshop;
  readonly source: InputSource;
  readonly history: History;
  /** Waits for a free slot. */
  run(work: () => Promise<TestedTarget>): Promise<TestedTarget>;
}

/** UTF-16 code units of output that a result keeps. */
const keptOutput = 64 * 1024;

/**
 * Runs a target's test in a scratch folder with its outputs and data, or finds that it passed with the same inputs before.
 *
 * @param artifacts the target's own outputs
 */
export async function runTest(
  { shop, source, history, run }: TestRun,
  target: Target,
  artifacts: readonly Artifact[],
  rerun: boolean,
  signal: AbortSignal,
): Promise<TestedTarget> {
  const { test } = target;
  if (test === undefined) throw new Error(`${target.label} is no test`);
  const own: Resolved[] = [{ kind: 'outputs', label: target.label, artifacts }];
  const data = await resolveInputs(source, target, target.data);
  const dataOfData = await resolveToolData(source, target.data);
  const tools = await resolveInputs(source, target, test.tools);
  const toolData = await resolveToolData(source, test.tools);
  const shell = await resolveTool('bash');
  const parts = testKeyParts(target, own, data, dataOfData, tools, toolData, shell);
  const key = keyOf(parts);
  const report = join(shop.outputRoot, 'test', target.package, `${target.name}.xml`);
  const known = rerun ? undefined : ((await shop.cache.findTest(key)) ?? (await fetched(key)));
  if (known !== undefined) return await passedBefore(known);
  return run(async () => {
    signal.throwIfAborted();
    const why = rerun ? 'it was to be run again' : explainTest(await history.before(testName(target.label)), parts);
    const task = shop.progress.begin(target.label);
    const found = async () => {
      const passed = await shop.cache.findTest(key);
      if (passed === undefined) return undefined;
      task.done();
      return await passedBefore(passed);
    };
    const making = { cacheFolder: shop.cache.folder, key: `test-${key}`, task, signal, found };
    try {
      return await (rerun ? runNow(why, task) : makeOnce(making, () => runNow(why, task)));
    } catch (error) {
      task.fail();
      throw error;
    }
  });

  async function passedBefore(known: TestRecord): Promise<TestedTarget> {
    await history.note(testName(target.label), key, parts);
    await writeIfOther(report, known.report);
    await place(known.files ?? []);
    const { attempts, seconds, output } = known;
    const cases = known.cases as readonly TestCase[];
    return {
      label: target.label,
      status: 'passed',
      cached: true,
      why: undefined,
      attempts,
      seconds,
      cases,
      output,
      report,
      fault: undefined,
      files: (known.files ?? []).map(whereOf),
    };
  }

  async function runNow(why: string | undefined, task: Task): Promise<TestedTarget> {
    if (test === undefined) throw new Error(`${target.label} is no test`);
    const attempts = Math.max(1, test.attempts);
    let outcome: Outcome | undefined;
    let attempt = 0;
    while (attempt < attempts && (outcome === undefined || outcome.fault !== undefined)) {
      attempt++;
      task.update(attempt === 1 ? 'testing' : `testing, attempt ${attempt} of ${attempts}`);
      outcome = await attemptOnce(attempt);
    }
    const { fault, output, seconds, files } = outcome!;
    const cases = casesWith(fault, outcome!.cases, target);
    await place(files);
    const xml = formatJunit(target.label, cases, output);
    await writeAtomically(report, xml);
    if (fault === undefined) {
      const record = { cases, output, report: xml, attempts: attempt, seconds, ...(files.length > 0 && { files }) };
      await shop.cache.keepTest(key, record);
      (await shop.sharing())?.keepTest(key, record);
      task.done();
    } else task.fail();
    await history.note(testName(target.label), key, parts);
    const { label } = target;
    const status = fault === undefined ? 'passed' : 'failed';
    const left = files.map(whereOf);
    return {
      label,
      status,
      cached: false,
      why,
      attempts: attempt,
      seconds,
      cases,
      output,
      report,
      fault,
      files: left,
    };
  }

  function whereOf({ path }: Artifact): string {
    return join(shop.outputRoot, 'test', path);
  }

  /** Puts what the test has left behind in place. What it did not leave this time is not there. */
  async function place(files: readonly Artifact[]): Promise<void> {
    const left = new Set(files.map(({ path }) => path));
    for (const out of test?.outputs ?? []) {
      const path = pathOf(target, out);
      if (!left.has(path)) await rm(join(shop.outputRoot, 'test', path), { recursive: true, force: true });
    }
    for (const each of files) await materialise(each, whereOf(each), shop.cache.blobs, shop.stagingFolder);
  }

  /** Takes what the test has left behind into the cache. Names count from where it runs, or from its package. */
  async function collect(root: string): Promise<Artifact[]> {
    const found: Artifact[] = [];
    for (const out of test?.outputs ?? []) {
      for (const path of new Set([join(root, out), join(root, target.package, out)])) {
        if ((await lstat(path).catch(() => undefined)) === undefined) continue;
        found.push(await collectOne(target, path, pathOf(target, out), root, shop.cache.blobs));
        break;
      }
    }
    return found;
  }

  /** That it passed on another machine. */
  async function fetched(key: string): Promise<TestRecord | undefined> {
    const record = await (await shop.remote())?.findTest(key, target.package, signal);
    if (record !== undefined) await shop.cache.keepTest(key, record);
    return record;
  }

  interface Outcome {
    readonly fault: BuildFault | undefined;
    readonly cases: readonly TestCase[];
    readonly output: string;
    readonly seconds: number;
    readonly files: readonly Artifact[];
  }

  async function attemptOnce(attempt: number): Promise<Outcome> {
    if (test === undefined) throw new Error(`${target.label} is no test`);
    const scratch = await makeScratch(shop.scratchFolder, shop.placeOf, shop.cache.blobs);
    try {
      for (const artifact of artifacts) await scratch.addArtifact(artifact);
      for (const { what } of data.all) await layResolved(scratch, what);
      for (const what of dataOfData) await layResolved(scratch, what);
      for (const { what } of tools.all) await layResolved(scratch, what, toolsFolder);
      for (const what of toolData) await layResolved(scratch, what, toolsFolder);
      await mkdir(join(scratch.root, target.package), { recursive: true });
      const sandbox = await shop.sandbox();
      const root = sandbox.mountFor(scratch.root);
      const layout = testLayout(root);
      const results = 'test.results';
      const env = testEnvironment(
        target,
        layout,
        join(root, scratch.temporary.slice(scratch.root.length + 1)),
        join(root, results),
      );
      const command = substitute(test.command, target, layout);
      const confined = sandbox.confine({
        program: shell.path,
        args: shellArguments(command, target.exitOnError === true),
        scratch: scratch.root,
        mount: root,
        folder: root,
        env,
        network: !test.sandbox,
        readable: [...programFolders(tools), ...systemFiles(root, tools)],
        writable: [],
      });
      const timeout = test.timeout > 0 ? test.timeout : defaultTimeout;
      const log = await logFile(shop, target, attempt === 1 ? 'test.log' : `test.${attempt}.log`);
      const done = await execute({ ...confined, env, timeout: timeout * 1000, signal, log });
      const judged = await judge(done, timeout, join(scratch.root, results), log.slice(shop.workspaceRoot.length + 1));
      const damaged = await scratch.damaged();
      const outcome = { ...judged, files: await collect(scratch.root) };
      if (damaged.length === 0 || outcome.fault !== undefined) return outcome;
      const fault = new BuildFault('build/test-failed', `${target.label} wrote to its inputs: ${damaged.join(', ')}`, {
        place: target.place,
        next: 'have it write to a copy, or to $TMPDIR',
      });
      return { ...outcome, fault };
    } finally {
      await scratch.remove();
    }
  }

  function testLayout(root: string): Layout {
    const base = layoutOf(shop, target, { srcs: data, tools, toolData, deps: [] }, root);
    return {
      ...base,
      srcs: [],
      srcsNamed: {},
      data: base.srcs,
      dataNamed: groups(data, (what) => laidPaths(what, root)),
    };
  }

  async function judge(
    done: Executed,
    timeout: number,
    resultsPath: string,
    log: string,
  ): Promise<Omit<Outcome, 'files'>> {
    let cases: readonly TestCase[] = [];
    let output = done.text;
    let badReport: string | undefined;
    if (test?.noOutput !== true) {
      const read = await readResults(resultsPath, target.label);
      cases = read.cases;
      badReport = read.problem;
      output += read.text;
    }
    output = output.slice(-keptOutput);
    if (cases.length === 0) cases = [wholeTest(target, done.seconds)];
    const result = { cases, output, seconds: done.seconds };
    if (done.timedOut) return { ...result, fault: timedOut(target, timeout, output, log) };
    const bad = cases.filter((each) => each.status === 'failed');
    if (done.code === 0 && bad.length === 0) {
      if (badReport === undefined) return { ...result, fault: undefined };
      const fault = new BuildFault('build/bad-test-report', `${target.label} passed, but ${badReport}`, {
        place: target.place,
        next: 'have it write JUnit XML to "$RESULTS_FILE", or set no_test_output = True',
      });
      return { ...result, fault };
    }
    const how = done.code === undefined ? `was ended by ${done.endedBy}` : `failed with exit code ${done.code}`;
    const message =
      bad.length > 0 && badReport === undefined && test?.noOutput !== true
        ? `${target.label}: ${bad.length} of ${cases.length} tests failed`
        : `${target.label} ${how}`;
    const shown = bad.filter((each) => each.message !== undefined).slice(0, 5);
    const notes = shown.map(
      (each) => `${each.suite === '' ? '' : `${each.suite} `}${each.name}\n${lastLines(each.message ?? '')}`,
    );
    if (notes.length === 0) notes.push(output.trim() === '' ? 'it printed nothing' : lastLines(output));
    const fault = new BuildFault('build/test-failed', message, {
      place: target.place,
      notes,
      next: `all that it printed is in ${log}`,
    });
    return { ...result, fault };
  }
}

/** What a test that tells of no cases is in a report. */
function wholeTest(target: Target, seconds: number): TestCase {
  return { name: target.name, suite: target.package, status: 'passed', seconds };
}

/** CI systems see only the report: where none of the cases has failed, what failed is one of its own. */
function casesWith(fault: BuildFault | undefined, cases: readonly TestCase[], target: Target): readonly TestCase[] {
  if (fault === undefined || cases.some(({ status }) => status === 'failed')) return cases;
  const own = wholeTest(target, 0);
  const isOwn = (each: TestCase) => each.name === own.name && each.suite === own.suite;
  const failure = { ...(cases.find(isOwn) ?? own), status: 'failed', message: fault.message } as const;
  return [...cases.filter((each) => !isOwn(each)), failure];
}

function explainTest(before: KeyParts | undefined, now: KeyParts): string {
  if (before === undefined) return 'it was not run here before';
  // The same inputs as the last time, and yet no result: only what passed is kept.
  return JSON.stringify(before) === JSON.stringify(now)
    ? 'it has not passed with these inputs'
    : explain(before, now, testArguments);
}

/** $RESULTS_FILE: a report, or a folder of reports. */
async function readResults(
  path: string,
  suite: string,
): Promise<{ cases: TestCase[]; problem: string | undefined; text: string }> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return { cases: [], problem: 'it wrote no report', text: '' };
  const files = info.isDirectory()
    ? (await readdir(path))
        .filter((name) => name.endsWith('.xml'))
        .sort()
        .map((name) => join(path, name))
    : [path];
  const cases: TestCase[] = [];
  let text = '';
  for (const file of files) {
    const content = await readFile(file, 'utf8');
    if (isGoResults(content)) {
      cases.push(...parseGoResults(content, suite));
      text += content;
      continue;
    }
    try {
      cases.push(...parseJunit(content));
    } catch (error) {
      return { cases, problem: `its report can't be read: ${(error as Error).message}`, text };
    }
  }
  return { cases, problem: files.length === 0 ? 'it wrote no report' : undefined, text };
}

async function writeIfOther(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) !== text) await writeAtomically(path, text);
}
