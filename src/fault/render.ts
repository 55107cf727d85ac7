import { Fault, type Place } from './fault.ts';
import { codeFrame } from './frame.ts';
import { machineFault } from './machine.ts';

export interface RenderOptions {
  /** ANSI colours; false for pipes and for NO_COLOR. */
  readonly color?: boolean;
}

/**
 * A fault as a person reads it: what happened, where, what to do.
 *
 *     error[graph/missing-target]: //bank/gateway:image depends on //bank/gatway:bin, which does not exist
 *       --> bank/gateway/BUILD:12:20
 *       ...frame...
 *       note: ...
 *       next: did you mean //bank/gateway:bin?
 */
export function renderFault(error: unknown, options: RenderOptions = {}): string {
  const paint = painter(options.color ?? false);
  if (!(error instanceof Fault)) {
    const fault = machineFault(error);
    if (fault !== undefined) return renderFault(fault, options);
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${paint.red('error[internal]')}: ${text}\n  ${paint.bold('next')}: this is a defect of Banksman; report it with the lines above`;
  }
  const out = [`${paint.red(`error[${error.code}]`)}: ${paint.bold(error.message)}`];
  if (error.place) out.push(...renderPlace(error.place, paint));
  for (const other of error.related) {
    out.push(`  ${paint.bold('note')}: ${other.message}`, ...renderPlace(other.place, paint));
  }
  for (const note of error.notes) out.push(`  ${paint.bold('note')}: ${indent(note)}`);
  if (error.next) out.push(`  ${paint.bold('next')}: ${indent(error.next)}`);
  for (const other of error.others) out.push('', renderFault(other, options));
  return out.join('\n');
}

function renderPlace(place: Place, paint: Painter): string[] {
  const position = [place.file, place.line, place.column].filter((part) => part !== undefined).join(':');
  const frame = codeFrame(place);
  const head = `  ${paint.blue('-->')} ${position}`;
  return frame === '' ? [head] : [head, ...frame.split('\n').map((line) => `  ${line}`)];
}

function indent(text: string): string {
  return text.trimEnd().split('\n').join('\n    ');
}

interface Painter {
  red(text: string): string;
  blue(text: string): string;
  bold(text: string): string;
}

function painter(color: boolean): Painter {
  const wrap = (open: string) => (text: string) => (color ? `\x1b[${open}m${text}\x1b[0m` : text);
  return { red: wrap('1;31'), blue: wrap('34'), bold: wrap('1') };
}

/** The same for programs: the object under `error` of `--json` output on standard error. */
export function faultToJson(error: unknown): Record<string, unknown> {
  if (!(error instanceof Fault)) {
    const fault = machineFault(error);
    if (fault !== undefined) return faultToJson(fault);
    return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
  }
  const { place } = error;
  return {
    code: error.code,
    message: error.message,
    ...(place && { place: { file: place.file, line: place.line, column: place.column } }),
    ...(error.notes.length > 0 && { notes: error.notes }),
    ...(error.next !== undefined && { next: error.next }),
    ...(error.others.length > 0 && { others: error.others.map(faultToJson) }),
  };
}
