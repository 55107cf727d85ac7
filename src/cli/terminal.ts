import type { Progress, Task } from '../progress/index.ts';

/**
 * Standard output holds results only; all that tells of work goes to standard error. On a terminal the running
 * tasks are a few live lines; elsewhere each beginning and end is a line, and a heartbeat says what is running.
 */
export interface Terminal {
  readonly color: boolean;
  /** Whether live drawing is possible. */
  readonly live: boolean;
  readonly progress: Progress;
  /** A line of the result. */
  print(line: string): void;
  /** Replaces the block of lines below the tasks, for live views; ignored where it can't be drawn. */
  draw(lines: readonly string[]): void;
  /** Removes what was drawn live. */
  clear(): void;
  readonly paint: Paint;
}

export interface Paint {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  faint(text: string): string;
  strong(text: string): string;
}

/** Milliseconds between frames: fast enough to look alive, slow enough to cost nothing. */
const frameTime = 120;
/** No silence is longer than this, so that a log of CI shows where the time goes. */
const heartbeat = 8_000;
const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

interface Running {
  readonly name: string;
  readonly began: number;
  text: string;
}

export function createTerminal(stream: NodeJS.WriteStream = process.stderr): Terminal {
  const live = stream.isTTY === true && process.env.TERM !== 'dumb' && !process.env.CI;
  const color = wantsColor(stream);
  const running = new Set<Running>();
  let block: readonly string[] = [];
  let drawn = 0;
  let frame = 0;
  let timer: NodeJS.Timeout | undefined;

  const erase = () => {
    if (drawn > 0) stream.write(`\x1b[${drawn}A\x1b[0J`);
    drawn = 0;
  };
  const redraw = () => {
    if (!live) return;
    const width = Math.max(20, (stream.columns ?? 80) - 1);
    const tasks = [...running].slice(-8).map((task) => {
      const seconds = Math.floor((Date.now() - task.began) / 1000);
      const time = seconds > 0 ? ` ${seconds}s` : '';
      const text = task.text === '' ? task.name : `${task.name}: ${task.text}`;
      return `${paint.good(spinner[frame % spinner.length]!)} ${clip(text, width - 2 - time.length)}${paint.faint(time)}`;
    });
    const lines = [
      ...tasks,
      ...block.slice(0, Math.max(0, (stream.rows ?? 24) - tasks.length - 1)).map((line) => clip(line, width)),
    ];
    erase();
    if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  const tick = () => {
    frame++;
    if (live) redraw();
    else beat();
    if (running.size === 0 && block.length === 0) stopTicking();
  };
  // Where nothing can be drawn, one line now and then, on the task that has run longest, shows that work goes on.
  let spoken = Date.now();
  const beat = () => {
    const [oldest] = running;
    if (oldest === undefined || Date.now() - spoken < heartbeat) return;
    spoken = Date.now();
    const seconds = Math.round((Date.now() - oldest.began) / 1000);
    const others = running.size === 1 ? '' : `, and ${running.size - 1} more`;
    stream.write(`  ${oldest.name}${oldest.text === '' ? '' : `: ${oldest.text}`} (${seconds} s${others})\n`);
  };
  const startTicking = () => {
    timer ??= setInterval(tick, live ? frameTime : 500);
    timer.unref();
  };
  const stopTicking = () => {
    clearInterval(timer);
    timer = undefined;
  };
  const say = (line: string) => {
    spoken = Date.now();
    erase();
    stream.write(`${line}\n`);
    redraw();
  };
  const paint = createPaint(color);

  const begin = (name: string): Task => {
    const task: Running = { name, began: Date.now(), text: '' };
    if (running.size === 0) spoken = Date.now();
    running.add(task);
    startTicking();
    const end = (mark: string, text: string | undefined) => {
      if (!running.delete(task)) return;
      const seconds = (Date.now() - task.began) / 1000;
      const time = seconds >= 0.1 ? paint.faint(` ${seconds.toFixed(1)} s`) : '';
      if (text !== undefined) say(`${mark} ${text}${time}`);
      else redraw();
    };
    return {
      update(text) {
        task.text = text;
        if (!live) beat();
      },
      done: (text) => end(paint.good('✓'), text),
      fail: (text) => end(paint.bad('✗'), text),
    };
  };

  return {
    color,
    live,
    paint,
    progress: { begin, say },
    print(line) {
      erase();
      process.stdout.write(`${line}\n`);
    },
    draw(lines) {
      block = lines;
      startTicking();
      redraw();
    },
    clear() {
      block = [];
      erase();
      running.clear();
      stopTicking();
    },
  };
}

/** See no-color.org and the FORCE_COLOR convention. */
function wantsColor(stream: NodeJS.WriteStream): boolean {
  if (process.env.NO_COLOR) return false;
  if (process.env.FORCE_COLOR) return process.env.FORCE_COLOR !== '0';
  return stream.isTTY === true && process.env.TERM !== 'dumb';
}

function createPaint(color: boolean): Paint {
  const wrap = (code: string) => (text: string) => (color ? `\x1b[${code}m${text}\x1b[0m` : text);
  return { good: wrap('32'), bad: wrap('31'), warn: wrap('33'), faint: wrap('2'), strong: wrap('1') };
}

/** Cuts a line to a width, not counting colour sequences. */
function clip(line: string, width: number): string {
  let seen = 0;
  let out = '';
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith('\x1b[')) out += part;
    else if (seen + part.length <= width) {
      out += part;
      seen += part.length;
    } else {
      out += `${part.slice(0, Math.max(0, width - seen - 1))}…\x1b[0m`;
      break;
    }
  }
  return out;
}
