import { nearest } from '../fault/index.ts';
import type {
  Argument,
  AssignmentTarget,
  BinaryOperator,
  Comprehension,
  Expression,
  FunctionDefinition,
  Module,
  Name,
  ParameterDefinition,
  Statement,
} from './ast.ts';
import { LanguageFault } from './fault.ts';
import { reservedWords, type Stretch, type TokenKind, tokenize } from './lexer.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { placeOf, type Source } from './source.ts';
import { typeNames } from './value.ts';

/**
 * Parses a BUILD file: recursive descent, one token of look-ahead.
 *
 * @param part only this part of the file; all of it unless told
 * @throws LanguageFault language/syntax or language/limit, with the place
 */
export function parseSource(source: Source, limits: Limits = defaultLimits, part?: Stretch): Module {
  if (source.text.length > limits.fileLength) {
    throw new LanguageFault('language/limit', `${source.file} is longer than ${limits.fileLength} characters`, {
      place: { file: source.file },
      next: 'split it, or make a data file of it and read that',
    });
  }
  return new Parser(source, limits, part).module();
}

class Parser {
  private readonly source: Source;
  private readonly limits: Limits;
  private readonly kinds: readonly TokenKind[];
  private readonly texts: readonly string[];
  private readonly starts: readonly number[];
  private readonly ends: readonly number[];
  private at = 0;
  private depth = 0;
  private functions = 0;
  private loops = 0;

  constructor(source: Source, limits: Limits, part: Stretch | undefined) {
    this.source = source;
    this.limits = limits;
    const tokens = tokenize(source, part);
    this.kinds = tokens.kinds;
    this.texts = tokens.texts;
    this.starts = tokens.starts;
    this.ends = tokens.ends;
  }

  module(): Module {
    const statements: Statement[] = [];
    while (this.kind() !== 'eof') statements.push(this.statement());
    return { statements };
  }

  private kind(): TokenKind {
    return this.kinds[this.at]!;
  }

  private start(): number {
    return this.starts[this.at]!;
  }

  /** End of the token just taken. */
  private lastEnd(): number {
    return this.ends[this.at - 1] ?? 0;
  }

  private accept(kind: TokenKind): boolean {
    if (this.kinds[this.at] !== kind) return false;
    this.at++;
    return true;
  }

  private expect(kind: TokenKind, where: string): void {
    if (!this.accept(kind)) this.unexpected(`${spoken(kind)} ${where}`);
  }

  private unexpected(wanted: string): never {
    const found = this.kind();
    const text = this.texts[this.at]!;
    const shown = found === 'name' || found === 'int' ? text : spoken(found);
    return this.fail(`expected ${wanted}, found ${shown}`, this.start(), this.ends[this.at]!);
  }

  private fail(message: string, start: number, end: number, next?: string): never {
    throw new LanguageFault('language/syntax', message, { place: placeOf(this.source, start, end), next });
  }

  private nested<T>(parse: () => T): T {
    if (++this.depth > this.limits.nesting) {
      throw new LanguageFault('language/limit', `nested more than ${this.limits.nesting} levels deep`, {
        place: placeOf(this.source, this.start(), this.ends[this.at]!),
        next: 'give a part of it a name of its own',
      });
    }
    const result = parse();
    this.depth--;
    return result;
  }

  private statement(): Statement {
    const start = this.start();
    switch (this.kind()) {
      case 'def':
        return this.nested(() => this.definition());
      case 'for':
        return this.nested(() => this.forStatement());
      case 'if':
        return this.nested(() => this.ifStatement());
      case 'indent':
        return this.fail('this line is indented, but no block begins above it', start, this.ends[this.at]!);
    }
    const statement = this.simpleStatement(start);
    if (!this.accept('newline')) this.unexpected('the end of the line');
    return statement;
  }

  private simpleStatement(start: number): Statement {
    const kind = this.kind();
    switch (kind) {
      case 'pass':
        this.at++;
        return { type: 'pass', start, end: this.lastEnd() };
      case 'continue':
      case 'break':
        this.at++;
        if (this.loops === 0) this.fail(`${kind} outside a loop`, start, this.lastEnd());
        return { type: kind, start, end: this.lastEnd() };
      case 'return': {
        this.at++;
        if (this.functions === 0) this.fail('return outside a function', start, this.lastEnd());
        if (this.kind() === 'newline') return { type: 'return', value: undefined, start, end: this.lastEnd() };
        const valueStart = this.start();
        const first = this.expression();
        if (this.kind() !== ',') return { type: 'return', value: first, start, end: this.lastEnd() };
        const items = [first];
        while (this.accept(',') && this.kind() !== 'newline') items.push(this.expression());
        const value: Expression = { type: 'list', items, start: valueStart, end: this.lastEnd() };
        return { type: 'return', value, start, end: this.lastEnd() };
      }
      case 'assert': {
        this.at++;
        const test = this.expression();
        const message = this.accept(',') ? this.expression() : undefined;
        return { type: 'assert', test, message, start, end: this.lastEnd() };
      }
    }
    if (kind === 'name' && reservedWords.has(this.texts[this.at]!)) return this.reserved(start);
    const expression = this.expression();
    if (this.kind() === ',' && expression.type === 'name') {
      const names: Name[] = [expression];
      while (this.accept(',')) names.push(this.name());
      this.expect('=', 'after these names');
      return {
        type: 'assign',
        target: { type: 'names', names },
        value: this.expression(),
        add: false,
        start,
        end: this.lastEnd(),
      };
    }
    const operator = this.kind();
    if (operator === '=' || operator === '+=') {
      const target = this.target(expression);
      this.at++;
      const value = this.expression();
      return { type: 'assign', target, value, add: operator === '+=', start, end: this.lastEnd() };
    }
    return grown(expression) ?? { type: 'expression', expression, start, end: this.lastEnd() };
  }

  private reserved(start: number): Statement {
    const word = this.texts[this.at]!;
    this.at++;
    if (word === 'raise') {
      // Deprecated in Please in favour of fail(), but still part of it.
      const message = this.expression();
      const test: Expression = { type: 'constant', value: false, start, end: message.end };
      return { type: 'assert', test, message, start, end: message.end };
    }
    return this.fail(
      `${word} is not part of the BUILD language`,
      start,
      this.lastEnd(),
      word === 'while' ? 'loop with for over a list' : word === 'import' ? 'use subinclude' : undefined,
    );
  }

  private target(expression: Expression): AssignmentTarget {
    if (expression.type === 'name') return { type: 'names', names: [expression] };
    if (expression.type === 'index') return { type: 'item', object: expression.object, key: expression.key };
    return this.fail(
      "can't assign to this",
      expression.start,
      expression.end,
      'assign to a name or to an item: x[...]',
    );
  }

  private name(): Name {
    const start = this.start();
    const name = this.texts[this.at]!;
    if (!this.accept('name')) this.unexpected('a name');
    return { name, start, end: this.lastEnd() };
  }

  private names(): Name[] {
    const names = [this.name()];
    while (this.accept(',')) names.push(this.name());
    return names;
  }

  private block(what: string): Statement[] {
    this.expect(':', `before the block of ${what}`);
    if (!this.accept('newline')) this.unexpected(`a new line after the : of ${what}`);
    if (!this.accept('indent')) this.unexpected(`an indented block of ${what}`);
    const statements: Statement[] = [];
    while (!this.accept('dedent')) statements.push(this.statement());
    return statements;
  }

  private definition(): FunctionDefinition {
    const start = this.start();
    this.at++;
    const { name } = this.name();
    this.expect('(', 'after the name of the function');
    const parameters = this.parameters(')', true);
    this.expect(')', 'after the parameters');
    const returns = this.accept('->') ? this.types([...typeNames, 'none']) : [];
    const head = this.lastEnd();
    const loops = this.loops;
    this.loops = 0;
    this.functions++;
    const body = this.block(`def ${name}`);
    this.functions--;
    this.loops = loops;
    const first = body[0];
    const documented =
      first?.type === 'expression' && first.expression.type === 'constant' ? first.expression.value : undefined;
    const documentation = typeof documented === 'string' ? documented : undefined;
    return { type: 'def', name, parameters, returns, documentation, body, start, end: head };
  }

  private parameters(closer: TokenKind, typed: boolean): ParameterDefinition[] {
    const parameters: ParameterDefinition[] = [];
    const seen = new Set<string>();
    while (this.kind() !== closer) {
      const start = this.start();
      if (this.kind() === '*') {
        this.fail(
          'functions of the BUILD language take no *args and **kwargs',
          start,
          start + 1,
          'take a list or a dict',
        );
      }
      const { name } = this.name();
      const types = typed && this.accept(':') ? this.types() : [];
      const aliases: string[] = [];
      while (typed && this.accept('&')) aliases.push(this.name().name);
      const fallback = this.accept('=') ? this.expression() : undefined;
      for (const each of [name, ...aliases]) {
        if (seen.has(each)) this.fail(`two parameters are named ${each}`, start, this.lastEnd());
        seen.add(each);
      }
      parameters.push({ name, types, aliases, fallback, start, end: this.lastEnd() });
      if (!this.accept(',')) break;
    }
    return parameters;
  }

  private types(known: readonly string[] = typeNames): string[] {
    const types: string[] = [];
    do {
      const { name, start, end } = this.name();
      if (!known.includes(name)) {
        const near = nearest(name, known);
        this.fail(
          `${name} is no type`,
          start,
          end,
          near ? `did you mean ${near}?` : `the types are ${known.join(', ')}`,
        );
      }
      types.push(name);
    } while (this.accept('|'));
    return types;
  }

  private forStatement(): Statement {
    const start = this.start();
    this.at++;
    const names = this.names();
    this.expect('in', 'after the names of the loop');
    const over = this.expression();
    const end = this.lastEnd();
    this.loops++;
    const body = this.block('for');
    this.loops--;
    return { type: 'for', names, over, body, start, end };
  }

  private ifStatement(): Statement {
    const start = this.start();
    const branches: { test: Expression; body: Statement[] }[] = [];
    let otherwise: Statement[] = [];
    let word = 'if';
    do {
      this.at++;
      const test = this.expression();
      branches.push({ test, body: this.block(word) });
      word = 'elif';
    } while (this.kind() === 'elif');
    if (this.accept('else')) otherwise = this.block('else');
    return { type: 'if', branches, otherwise, start, end: branches[0]!.test.end };
  }

  private expression(): Expression {
    return this.nested(() => this.conditional());
  }

  private conditional(): Expression {
    const then = this.or();
    if (!this.accept('if')) return then;
    const test = this.or();
    this.expect('else', 'after the condition: a if test else b');
    const otherwise = this.expression();
    return { type: 'conditional', test, then, otherwise, start: then.start, end: otherwise.end };
  }

  private or(): Expression {
    const first = this.and();
    if (this.kind() !== 'or') return first;
    const operands = [first];
    while (this.accept('or')) operands.push(this.and());
    return { type: 'or', operands, start: first.start, end: this.lastEnd() };
  }

  private and(): Expression {
    const first = this.not();
    if (this.kind() !== 'and') return first;
    const operands = [first];
    while (this.accept('and')) operands.push(this.not());
    return { type: 'and', operands, start: first.start, end: this.lastEnd() };
  }

  private not(): Expression {
    const start = this.start();
    if (!this.accept('not')) return this.comparison();
    const operand = this.nested(() => this.not());
    return { type: 'not', operand, start, end: operand.end };
  }

  private comparison(): Expression {
    const first = this.level(0);
    const at = this.start();
    const operator = this.comparisonOperator();
    if (operator === undefined) return first;
    const operand = this.level(0);
    const end = this.lastEnd();
    const again = this.start();
    if (this.comparisonOperator() !== undefined) {
      this.fail("comparisons can't be chained", again, this.lastEnd(), 'join two comparisons with and');
    }
    return { type: 'chain', first, rest: [{ operator, operand, at }], start: first.start, end };
  }

  private comparisonOperator(): BinaryOperator | undefined {
    const kind = this.kind();
    switch (kind) {
      case '==':
      case '!=':
      case '<':
      case '>':
      case '<=':
      case '>=':
      case 'in':
        this.at++;
        return kind;
      case 'is':
        this.at++;
        return this.accept('not') ? 'is not' : 'is';
      case 'not':
        if (this.kinds[this.at + 1] !== 'in') return undefined;
        this.at += 2;
        return 'not in';
    }
    return undefined;
  }

  /** Left-associative operators by how tightly they bind: `|`, then `+ -`, then `* / // %`. */
  private level(level: number): Expression {
    const operators = levels[level];
    if (operators === undefined) return this.unary();
    const first = this.level(level + 1);
    if (!operators.has(this.kind())) return first;
    const rest: { operator: BinaryOperator; operand: Expression; at: number }[] = [];
    while (operators.has(this.kind())) {
      const at = this.start();
      const operator = this.kind() as BinaryOperator;
      this.at++;
      rest.push({ operator, operand: this.level(level + 1), at });
    }
    return { type: 'chain', first, rest, start: first.start, end: this.lastEnd() };
  }

  private unary(): Expression {
    const start = this.start();
    if (!this.accept('-')) return this.suffixed();
    const operand = this.nested(() => this.unary());
    return { type: 'negate', operand, start, end: operand.end };
  }

  private suffixed(): Expression {
    let expression = this.value();
    const { start } = expression;
    for (let suffixes = 0; ; suffixes++) {
      const kind = this.kind();
      if (kind !== '.' && kind !== '(' && kind !== '[') return expression;
      if (suffixes >= this.limits.nesting) {
        throw new LanguageFault('language/limit', `more than ${this.limits.nesting} calls and items in a row`, {
          place: placeOf(this.source, this.start(), this.ends[this.at]!),
          next: 'give a part of it a name of its own',
        });
      }
      this.at++;
      if (kind === '.') {
        const { name, start: nameStart } = this.name();
        expression = { type: 'attribute', object: expression, name, nameStart, start, end: this.lastEnd() };
      } else if (kind === '(') {
        const args = this.nested(() => this.args());
        this.expect(')', 'after the arguments');
        expression = { type: 'call', callee: expression, args, start, end: this.lastEnd() };
      } else {
        const from = this.kind() === ':' ? undefined : this.expression();
        if (this.accept(':')) {
          const to = this.kind() === ']' ? undefined : this.expression();
          this.expect(']', 'after the slice');
          expression = { type: 'slice', object: expression, from, to, start, end: this.lastEnd() };
        } else {
          this.expect(']', 'after the index');
          expression = { type: 'index', object: expression, key: from!, start, end: this.lastEnd() };
        }
      }
    }
  }

  private args(): Argument[] {
    const args: Argument[] = [];
    let named: Set<string> | undefined;
    while (this.kind() !== ')') {
      const start = this.start();
      if (this.kind() === '*') {
        this.fail(
          'calls in the BUILD language take no *args and **kwargs',
          start,
          start + 1,
          'write the arguments out',
        );
      }
      if (this.kind() === 'name' && this.kinds[this.at + 1] === '=') {
        const { name } = this.name();
        this.at++;
        named ??= new Set();
        if (named.has(name)) this.fail(`the argument ${name} is given twice`, start, start + name.length);
        named.add(name);
        args.push({ name, value: this.expression(), start, end: this.lastEnd() });
      } else {
        const value = this.expression();
        if (named !== undefined) {
          this.fail('an argument by position after one by name', start, this.lastEnd(), 'give this argument its name');
        }
        // f(x for x in y) is common in Python; here it would need generators.
        if (this.kind() === 'for')
          this.fail('a comprehension needs brackets', start, this.ends[this.at]!, 'write [x for x in y]');
        args.push({ name: undefined, value, start, end: this.lastEnd() });
      }
      if (!this.accept(',')) break;
    }
    return args;
  }

  private value(): Expression {
    const start = this.start();
    const kind = this.kind();
    switch (kind) {
      case 'string':
      case 'fstring':
        return this.strings();
      case 'int': {
        const value = Number(this.texts[this.at]);
        this.at++;
        return { type: 'constant', value, start, end: this.lastEnd() };
      }
      case 'True':
      case 'False':
      case 'None':
        this.at++;
        return { type: 'constant', value: kind === 'None' ? null : kind === 'True', start, end: this.lastEnd() };
      case 'name': {
        const name = this.texts[this.at]!;
        this.at++;
        return { type: 'name', name, start, end: this.lastEnd() };
      }
      case '[':
        return this.list();
      case '{':
        return this.dict();
      case '(':
        return this.parenthesised();
      case 'lambda': {
        this.at++;
        const parameters = this.parameters(':', false);
        this.expect(':', 'after the parameters of the lambda');
        const body = this.expression();
        return { type: 'lambda', parameters, body, start, end: body.end };
      }
    }
    return this.unexpected('an expression');
  }

  /** Strings side by side are one string. */
  private strings(): Expression {
    const start = this.start();
    const parts: (string | string[])[] = [];
    while (this.kind() === 'string' || this.kind() === 'fstring') {
      const text = this.texts[this.at]!;
      const pieces = this.kind() === 'string' ? [text] : this.interpolations(text);
      for (const piece of pieces) {
        const last = parts[parts.length - 1];
        if (typeof piece === 'string' && typeof last === 'string') parts[parts.length - 1] = last + piece;
        else parts.push(piece);
      }
      this.at++;
    }
    const [only] = parts;
    const end = this.lastEnd();
    if (parts.length === 0) return { type: 'constant', value: '', start, end };
    if (parts.length === 1 && typeof only === 'string') return { type: 'constant', value: only, start, end };
    return { type: 'fstring', parts, start, end };
  }

  /** `{name}` and `{name.attribute}`; `{{` and `}}` for braces; `${X}` is the shell's and stays. */
  private interpolations(text: string): (string | string[])[] {
    const parts: (string | string[])[] = [];
    let literal = '';
    let at = 0;
    while (at < text.length) {
      const letter = text[at]!;
      if ((letter === '{' || letter === '}') && text[at + 1] === letter) {
        literal += letter;
        at += 2;
      } else if (letter === '{' && text[at - 1] !== '$') {
        const close = text.indexOf('}', at);
        const inside = close === -1 ? '' : text.slice(at + 1, close);
        if (!/^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/.test(inside)) {
          this.fail(
            close === -1 ? 'a { in this f-string is never closed' : `an f-string can't hold {${inside}}`,
            this.start(),
            this.ends[this.at]!,
            'only names go between the braces: {name} or {name.attribute}; write {{ for a brace',
          );
        }
        if (literal !== '') parts.push(literal);
        literal = '';
        parts.push(inside.split('.'));
        at = close + 1;
      } else {
        literal += letter;
        at++;
      }
    }
    if (literal !== '') parts.push(literal);
    return parts;
  }

  private list(): Expression {
    const start = this.start();
    this.at++;
    if (this.accept(']')) return { type: 'list', items: [], start, end: this.lastEnd() };
    const first = this.expression();
    if (this.kind() === 'for') {
      const of = this.comprehension();
      this.expect(']', 'after the comprehension');
      return { type: 'listComprehension', item: first, of, start, end: this.lastEnd() };
    }
    const items = [first];
    while (this.accept(',') && this.kind() !== ']') items.push(this.expression());
    if (!this.accept(']')) this.unexpected('a comma or ] in this list');
    return { type: 'list', items, start, end: this.lastEnd() };
  }

  private dict(): Expression {
    const start = this.start();
    this.at++;
    const items: { key: Expression; value: Expression }[] = [];
    while (this.kind() !== '}') {
      const key = this.expression();
      this.expect(':', 'after this key');
      const value = this.expression();
      if (items.length === 0 && this.kind() === 'for') {
        const of = this.comprehension();
        this.expect('}', 'after the comprehension');
        return { type: 'dictComprehension', key, value, of, start, end: this.lastEnd() };
      }
      items.push({ key, value });
      if (!this.accept(',')) break;
    }
    if (!this.accept('}')) this.unexpected('a comma or } in this dict');
    return { type: 'dict', items, start, end: this.lastEnd() };
  }

  private parenthesised(): Expression {
    const start = this.start();
    this.at++;
    if (this.accept(')')) return { type: 'list', items: [], start, end: this.lastEnd() };
    const first = this.expression();
    if (this.kind() === 'for') {
      const of = this.comprehension();
      this.expect(')', 'after the comprehension');
      return { type: 'listComprehension', item: first, of, start, end: this.lastEnd() };
    }
    if (this.kind() !== ',') {
      this.expect(')', 'after this expression');
      return first;
    }
    const items = [first];
    while (this.accept(',') && this.kind() !== ')') items.push(this.expression());
    this.expect(')', 'after this tuple');
    // As in Please: brackets around one value make no list, with a comma behind it or without.
    if (items.length === 1) return first;
    return { type: 'list', items, start, end: this.lastEnd() };
  }

  private comprehension(): Comprehension {
    const loops: { names: Name[]; over: Expression }[] = [];
    const tests: Expression[] = [];
    while (this.accept('for')) {
      const names = this.names();
      this.expect('in', 'after the names of the comprehension');
      loops.push({ names, over: this.or() });
    }
    while (this.accept('if')) tests.push(this.or());
    if (this.kind() === 'for') {
      this.fail(
        'a for after the if of a comprehension',
        this.start(),
        this.ends[this.at]!,
        'put every for before the if',
      );
    }
    return { loops, tests };
  }
}

/** As in Please, `x.append(y)` and `x.extend(y)` as statements are `x += [y]` and `x += y`: x is a new list from then on. */
function grown(expression: Expression): Statement | undefined {
  if (expression.type !== 'call' || expression.callee.type !== 'attribute') return undefined;
  const { object, name } = expression.callee;
  const [argument, ...more] = expression.args;
  if (object.type !== 'name' || argument === undefined || argument.name !== undefined || more.length > 0) {
    return undefined;
  }
  if (name !== 'append' && name !== 'extend') return undefined;
  const { start, end } = expression;
  const value: Expression =
    name === 'extend' ? argument.value : { type: 'list', items: [argument.value], start: argument.start, end };
  return { type: 'assign', target: { type: 'names', names: [object] }, value, add: true, start, end };
}

const levels: readonly ReadonlySet<TokenKind>[] = [new Set(['|']), new Set(['+', '-']), new Set(['*', '/', '//', '%'])];

function spoken(kind: TokenKind): string {
  switch (kind) {
    case 'newline':
      return 'the end of the line';
    case 'eof':
      return 'the end of the file';
    case 'indent':
      return 'an indentation';
    case 'dedent':
      return 'the end of the block';
    case 'string':
    case 'fstring':
      return 'a string';
    default:
      return kind;
  }
}
