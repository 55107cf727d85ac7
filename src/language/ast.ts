/** The syntax tree of a BUILD file. `start` and `end` are offsets into the text. */
interface Node {
  readonly start: number;
  readonly end: number;
}

export interface Module {
  readonly statements: readonly Statement[];
}

export type Statement =
  | (Node & { readonly type: 'expression'; readonly expression: Expression })
  | (Node & {
      readonly type: 'assign';
      readonly target: AssignmentTarget;
      readonly value: Expression;
      readonly add: boolean;
    })
  | FunctionDefinition
  | (Node & {
      readonly type: 'for';
      readonly names: readonly Name[];
      readonly over: Expression;
      readonly body: readonly Statement[];
    })
  | (Node & {
      readonly type: 'if';
      readonly branches: readonly { readonly test: Expression; readonly body: readonly Statement[] }[];
      readonly otherwise: readonly Statement[];
    })
  | (Node & { readonly type: 'return'; readonly value: Expression | undefined })
  | (Node & { readonly type: 'assert'; readonly test: Expression; readonly message: Expression | undefined })
  | (Node & { readonly type: 'pass' | 'continue' | 'break' });

export type AssignmentTarget =
  | { readonly type: 'names'; readonly names: readonly Name[] }
  | { readonly type: 'item'; readonly object: Expression; readonly key: Expression };

export interface Name extends Node {
  readonly name: string;
}

export interface FunctionDefinition extends Node {
  readonly type: 'def';
  readonly name: string;
  readonly parameters: readonly ParameterDefinition[];
  readonly returns: readonly string[];
  readonly documentation: string | undefined;
  readonly body: readonly Statement[];
}

/** A function's code. */
export type Code = FunctionDefinition | Extract<Expression, { type: 'lambda' }>;

export interface ParameterDefinition extends Node {
  readonly name: string;
  /** Names of types one of which the argument must have; empty for any. */
  readonly types: readonly string[];
  readonly aliases: readonly string[];
  readonly fallback: Expression | undefined;
}

export interface Argument extends Node {
  /** Undefined for an argument by position. */
  readonly name: string | undefined;
  readonly value: Expression;
}

export interface Comprehension {
  readonly loops: readonly { readonly names: readonly Name[]; readonly over: Expression }[];
  readonly tests: readonly Expression[];
}

export type BinaryOperator =
  | '+'
  | '-'
  | '*'
  | '/'
  | '//'
  | '%'
  | '|'
  | '=='
  | '!='
  | '<'
  | '>'
  | '<='
  | '>='
  | 'in'
  | 'not in'
  | 'is'
  | 'is not';

export type Expression =
  | (Node & { readonly type: 'constant'; readonly value: string | number | boolean | null })
  | (Node & { readonly type: 'fstring'; readonly parts: readonly (string | readonly string[])[] })
  | (Node & { readonly type: 'name'; readonly name: string })
  | (Node & { readonly type: 'list'; readonly items: readonly Expression[] })
  | (Node & {
      readonly type: 'dict';
      readonly items: readonly { readonly key: Expression; readonly value: Expression }[];
    })
  | (Node & { readonly type: 'listComprehension'; readonly item: Expression; readonly of: Comprehension })
  | (Node & {
      readonly type: 'dictComprehension';
      readonly key: Expression;
      readonly value: Expression;
      readonly of: Comprehension;
    })
  | (Node & { readonly type: 'lambda'; readonly parameters: readonly ParameterDefinition[]; readonly body: Expression })
  | (Node & {
      readonly type: 'attribute';
      readonly object: Expression;
      readonly name: string;
      readonly nameStart: number;
    })
  | (Node & { readonly type: 'call'; readonly callee: Expression; readonly args: readonly Argument[] })
  | (Node & { readonly type: 'index'; readonly object: Expression; readonly key: Expression })
  | (Node & {
      readonly type: 'slice';
      readonly object: Expression;
      readonly from: Expression | undefined;
      readonly to: Expression | undefined;
    })
  | (Node & { readonly type: 'not' | 'negate'; readonly operand: Expression })
  /** Operators of one level from left to right: a chain and not a tree, so that its length costs no depth. */
  | (Node & {
      readonly type: 'chain';
      readonly first: Expression;
      readonly rest: readonly {
        readonly operator: BinaryOperator;
        readonly operand: Expression;
        readonly at: number;
      }[];
    })
  | (Node & { readonly type: 'and' | 'or'; readonly operands: readonly Expression[] })
  | (Node & {
      readonly type: 'conditional';
      readonly test: Expression;
      readonly then: Expression;
      readonly otherwise: Expression;
    });
