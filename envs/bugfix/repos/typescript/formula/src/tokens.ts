/** What a formula is made of. `at` is the offset of the first character. */
export interface Token {
    kind: 'number' | 'name' | 'sign' | 'end';
    text: string;
    at: number;
}

/** A formula that cannot be read; `at` is the offset of the trouble. */
export class FormulaError extends Error {
    constructor(message: string, readonly at: number) {
        super(`${message} at ${at}`);
        this.name = 'FormulaError';
    }
}

const BLANK = /\s*/y;
const NUMBER = /(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const SIGN = /<=|>=|==|!=|&&|\|\||[-+*/%^()<>!,?:]/y;

function match(pattern: RegExp, text: string, at: number): string {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] ?? '';
}

/**
 * The tokens of a formula, the last one of kind `end`. A number may not run into a name (`2x` is refused). Throws
 * FormulaError.
 */
export function tokenize(text: string): Token[] {
    const tokens: Token[] = [];
    let at = match(BLANK, text, 0).length;
    while (at < text.length) {
        const token = next(text, at);
        tokens.push(token);
        at += token.text.length;
        if (token.kind === 'number' && match(NAME, text, at) !== '') {
            throw new FormulaError('a number runs into a name', at);
        }
        at += match(BLANK, text, at).length;
    }
    return [...tokens, { kind: 'end', text: '', at }];
}

function next(text: string, at: number): Token {
    const kinds: [Token['kind'], RegExp][] = [['number', NUMBER], ['name', NAME], ['sign', SIGN]];
    for (const [kind, pattern] of kinds) {
        const found = match(pattern, text, at);
        if (found !== '') return { kind, text: found, at };
    }
    throw new FormulaError(`unexpected ${JSON.stringify(text[at])}`, at);
}
