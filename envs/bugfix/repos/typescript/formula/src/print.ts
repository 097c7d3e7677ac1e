import { evaluate, EvaluationError } from './evaluate';
import { fromTheRight, LEVELS, Node, UNARY_LEVEL } from './parser';

function level(node: Node): number {
    switch (node.kind) {
        case 'choice': return 0;
        case 'binary': return LEVELS.get(node.sign)!;
        case 'unary': return UNARY_LEVEL;
        case 'number': return node.value < 0 ? UNARY_LEVEL : 9;
        default: return 9;
    }
}

function wrapped(node: Node, lowest: number): string {
    return level(node) < lowest ? `(${print(node)})` : print(node);
}

/** The text of a tree, with no more parentheses than needed to read the same tree again. */
export function print(node: Node): string {
    switch (node.kind) {
        case 'number': return String(node.value);
        case 'name': return node.name;
        case 'unary': return node.sign + wrapped(node.operand, UNARY_LEVEL);
        case 'call': return `${node.name}(${node.values.map(print).join(', ')})`;
        case 'choice': return `${wrapped(node.condition, 1)} ? ${print(node.yes)} : ${print(node.no)}`;
        case 'binary': {
            const own = level(node);
            const [left, right] = fromTheRight(node.sign) ? [own + 1, own] : [own, own + 1];
            const last = node.sign === '^' && node.right.kind === 'unary' ? UNARY_LEVEL : right;
            return `${wrapped(node.left, left)} ${node.sign} ${wrapped(node.right, last)}`;
        }
    }
}

const isNumber = (node: Node, value?: number): boolean =>
    node.kind === 'number' && (value === undefined || node.value === value);

/**
 * A tree with the same value that has its constant parts computed, and without `x + 0`, `x - 0`, `x * 1`, `x / 1`, `x ^ 1`,
 * double signs, and choices that are decided. A part whose computation fails, or gives no finite number, is left.
 */
export function simplify(node: Node): Node {
    const simple = withSimpleParts(node);
    if (simple.kind !== 'number' && simple.kind !== 'name') {
        const value = constant(simple);
        if (value !== undefined) return { kind: 'number', value };
    }
    if (simple.kind === 'choice' && simple.condition.kind === 'number') {
        return simple.condition.value !== 0 ? simple.yes : simple.no;
    }
    if (simple.kind === 'unary' && simple.sign === '-') {
        const { operand } = simple;
        if (operand.kind === 'unary' && operand.sign === '-') return operand.operand;
    }
    return simple.kind === 'binary' ? withoutNeutral(simple) : simple;
}

function withSimpleParts(node: Node): Node {
    switch (node.kind) {
        case 'unary': return { ...node, operand: simplify(node.operand) };
        case 'binary': return { ...node, left: simplify(node.left), right: simplify(node.right) };
        case 'call': return { ...node, values: node.values.map(simplify) };
        case 'choice':
            return { ...node, condition: simplify(node.condition), yes: simplify(node.yes), no: simplify(node.no) };
        default: return node;
    }
}

function constant(node: Node): number | undefined {
    try {
        const value = evaluate(node);
        return Number.isFinite(value) ? value : undefined;
    } catch (error) {
        if (error instanceof EvaluationError) return undefined;
        throw error;
    }
}

function withoutNeutral(node: Node & { kind: 'binary' }): Node {
    const { sign, left, right } = node;
    if (sign === '+' && isNumber(left, 0)) return right;
    if (sign === '*' && isNumber(left, 1)) return right;
    if ((sign === '+' || sign === '-') && isNumber(right, 0)) return left;
    if ((sign === '*' || sign === '/' || sign === '^') && isNumber(right, 1)) return left;
    return node;
}
