import type { TestCase } from './types.ts';
import { escapeXml, parseXml, type XmlElement } from './xml.ts';

/**
 * Reads the test cases of a JUnit XML report: `testcase` elements at any depth, with `failure`, `error` or `skipped` in them.
 *
 * @throws Error where the text is not XML
 */
export function parseJunit(text: string): TestCase[] {
  const cases: TestCase[] = [];
  const visit = (element: XmlElement, suite: string) => {
    if (element.name === 'testcase') {
      cases.push(testCase(element, suite));
      return;
    }
    const name = element.attributes.name ?? suite;
    for (const child of element.children) visit(child, name);
  };
  const root = parseXml(text);
  if (root.name !== 'testsuites' && root.name !== 'testsuite') throw new Error(`the root element is <${root.name}>`);
  visit(root, '');
  return cases;
}

function testCase(element: XmlElement, suite: string): TestCase {
  const { name = '', classname, time = '' } = element.attributes;
  const bad = element.children.find((child) => child.name === 'failure' || child.name === 'error');
  const skipped = element.children.find((child) => child.name === 'skipped');
  const about = bad ?? skipped;
  const short = about?.attributes.message?.trim() ?? '';
  const long = about?.text.trim() ?? '';
  // Most runners repeat the message at the start of the text.
  const message = long.includes(short) ? long : `${short}\n${long}`.trim();
  const seconds = Number(time.replaceAll(',', ''));
  const printed = element.children.filter((child) => child.name === 'system-out' || child.name === 'system-err');
  const output = printed
    .map((child) => child.text.trim())
    .filter((text) => text !== '')
    .join('\n')
    .slice(-keptOutput);
  return {
    name,
    suite: classname ?? suite,
    status: bad !== undefined ? 'failed' : skipped !== undefined ? 'skipped' : 'passed',
    seconds: Number.isFinite(seconds) && seconds > 0 ? seconds : 0,
    ...(message !== '' && { message }),
    ...(output !== '' && { output }),
  };
}

/** Characters of what one case printed that are kept. */
const keptOutput = 64 * 1024;

/** A report of one target's cases, as CI systems read it. */
export function formatJunit(suite: string, cases: readonly TestCase[], output: string): string {
  const count = (status: TestCase['status']) => cases.filter((each) => each.status === status).length;
  const seconds = cases.reduce((sum, each) => sum + each.seconds, 0);
  const numbers = `tests="${cases.length}" failures="${count('failed')}" errors="0" skipped="${count('skipped')}" time="${seconds.toFixed(3)}"`;
  const lines = cases.map(({ name, suite: group, status, seconds: time, message, output: printed }) => {
    const head = `    <testcase name="${escapeXml(name)}" classname="${escapeXml(group)}" time="${time.toFixed(3)}"`;
    const [first = ''] = (message ?? '').split('\n');
    const element = status === 'failed' ? 'failure' : 'skipped';
    const about =
      status === 'passed' ? '' : `<${element} message="${escapeXml(first)}">${escapeXml(message ?? '')}</${element}>`;
    const out = printed === undefined ? '' : `<system-out>${escapeXml(printed)}</system-out>`;
    return about + out === '' ? `${head}/>` : `${head}>${about}${out}</testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${numbers}>`,
    `  <testsuite name="${escapeXml(suite)}" ${numbers}>`,
    ...lines,
    ...(output === '' ? [] : [`    <system-out>${escapeXml(output)}</system-out>`]),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}
