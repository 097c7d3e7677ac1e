import { FormulaError, Token, tokenize } from './tokens';

/** The tree of a formula. */
export type Node =
    | { kind: 'number'; value: number }
    | { kind: 'name'; name: string }
    | { kind: 'unary'; sign: string; operand: Node }
    | { kind: 'binary'; sign: string; left: Node; right: Node }
    | { kind: 'choice'; condition: Node; yes: Node; no: Node }
    | { kind: 'call'; name: string; values: Node[] };

/** How tightly binary operators bind; those of one level go from the left, `^` alone from the right. */
export const LEVELS: ReadonlyMap<string, number> = new Map([
    ['||', 1], ['&&', 2], ['==', 3], ['!=', 3], ['<', 4], ['<=', 4], ['>', 4], ['>=', 4],
    ['+', 5], ['-', 5], ['*', 6], ['/', 6], ['%', 6], ['^', 8],
]);

/** The level of the signs before an operand: tighter than `*`, looser than `^`, so that -2 ^ 2 is -(2 ^ 2). */
export const UNARY_LEVEL = 7;

/** Whether an operator groups from the right: a ^ b ^ c is a ^ (b ^ c). */
export function fromTheRight(sign: string): boolean {
    return sign === '^';
}

class Parser {
    private position = 0;

    constructor(private readonly tokens: Token[]) {}

    whole(): Node {
        const node = this.choice();
        if (this.token.kind !== 'end') throw this.unexpected();
        return node;
    }

    private get token(): Token {
        return this.tokens[this.position];
    }

    private unexpected(): FormulaError {
        const { kind, text, at } = this.token;
        return new FormulaError(kind === 'end' ? 'unexpected end' : `unexpected ${JSON.stringify(text)}`, at);
    }

    /** Take a sign if it is next. */
    private take(sign: string): boolean {
        const taken = this.token.kind === 'sign' && this.token.text === sign;
        if (taken) this.position += 1;
        return taken;
    }

    private expect(sign: string): void {
        if (!this.take(sign)) throw this.unexpected();
    }

    private choice(): Node {
        const condition = this.binary(1);
        if (!this.take('?')) return condition;
        const yes = this.choice();
        this.expect(':');
        return { kind: 'choice', condition, yes, no: this.choice() };
    }

    private binary(lowest: number): Node {
        let left = this.unary();
        for (;;) {
            const sign = this.token.text;
            const level = this.token.kind === 'sign' ? LEVELS.get(sign) : undefined;
            if (level === undefined || level < lowest) return left;
            this.position += 1;
            const right = this.binary(fromTheRight(sign) ? level : level + 1);
            left = { kind: 'binary', sign, left, right };
        }
    }

    private unary(): Node {
        for (const sign of ['-', '!']) {
            if (this.take(sign)) return { kind: 'unary', sign, operand: this.binary(UNARY_LEVEL) };
        }
        return this.primary();
    }

    private primary(): Node {
        const { kind, text } = this.token;
        if (this.take('(')) {
            const inner = this.choice();
            this.expect(')');
            return inner;
        }
        if (kind === 'number') {
            this.position += 1;
            return { kind: 'number', value: Number(text) };
        }
        if (kind !== 'name') throw this.unexpected();
        this.position += 1;
        return this.take('(') ? { kind: 'call', name: text, values: this.values() } : { kind: 'name', name: text };
    }

    private values(): Node[] {
        const values: Node[] = [];
        if (this.take(')')) return values;
        do values.push(this.choice());
        while (this.take(','));
        this.expect(')');
        return values;
    }
}

/** The tree of a formula. Throws FormulaError. */
export function parse(text: string): Node {
    return new Parser(tokenize(text)).whole();
}

/** The direct parts of a tree, from left to right. */
export function parts(node: Node): Node[] {
    switch (node.kind) {
        case 'unary': return [node.operand];
        case 'binary': return [node.left, node.right];
        case 'choice': return [node.condition, node.yes, node.no];
        case 'call': return node.values;
        default: return [];
    }
}

/** The names of the variables in a tree, sorted, each once. */
export function variables(node: Node): string[] {
    const found = new Set(parts(node).flatMap(variables));
    if (node.kind === 'name') found.add(node.name);
    return [...found].sort();
}
