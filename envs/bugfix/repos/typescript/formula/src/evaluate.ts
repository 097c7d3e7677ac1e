import { Node } from './parser';

/** Something that cannot be computed: an unknown name or function, or a wrong number of values. */
export class EvaluationError extends Error {
    override name = 'EvaluationError';
}

/** The value of a variable, or undefined. */
export type Lookup = (name: string) => number | undefined;

interface Builtin {
    least: number;
    most: number;
    call: (...values: number[]) => number;
}

const FUNCTIONS: ReadonlyMap<string, Builtin> = new Map(Object.entries({
    abs: { least: 1, most: 1, call: Math.abs },
    sqrt: { least: 1, most: 1, call: Math.sqrt },
    min: { least: 1, most: Infinity, call: Math.min },
    max: { least: 1, most: Infinity, call: Math.max },
    sum: { least: 0, most: Infinity, call: (...values) => values.reduce((total, value) => total + value, 0) },
    mean: { least: 1, most: Infinity, call: (...values) => values.reduce((a, b) => a + b) / values.length },
    round: { least: 1, most: 2, call: round },
    clamp: { least: 3, most: 3, call: (value, low, high) => Math.max(low, Math.min(high, value)) },
} as Record<string, Builtin>));

/** A value to so many decimal places, halves away from zero. */
export function round(value: number, places = 0): number {
    const scale = 10 ** places;
    return (Math.sign(value) * Math.round(Math.abs(value) * scale)) / scale;
}

/** What is left after dividing: it has the sign of the divisor, as in mathematics (-7 % 3 is 2). */
export function modulo(value: number, divisor: number): number {
    const rest = value % divisor;
    return rest !== 0 && rest < 0 !== divisor < 0 ? rest + divisor : rest;
}

/** One operator on two values; comparisons give 1 or 0. `&&` and `||` are not here: they may skip their right side. */
export function operate(sign: string, left: number, right: number): number {
    switch (sign) {
        case '+': return left + right;
        case '-': return left - right;
        case '*': return left * right;
        case '/': return left / right;
        case '%': return modulo(left, right);
        case '^': return left ** right;
        case '==': return Number(left === right);
        case '!=': return Number(left !== right);
        case '<': return Number(left < right);
        case '<=': return Number(left <= right);
        case '>': return Number(left > right);
        case '>=': return Number(left >= right);
        default: throw new EvaluationError(`unknown operator ${sign}`);
    }
}

/** A function of the library applied to values. Throws EvaluationError. */
export function call(name: string, values: number[]): number {
    const builtin = FUNCTIONS.get(name);
    if (builtin === undefined) throw new EvaluationError(`unknown function ${name}`);
    if (values.length < builtin.least || values.length > builtin.most) {
        throw new EvaluationError(`${name} does not take ${values.length} values`);
    }
    return builtin.call(...values);
}

/**
 * The value of a tree. What is not 0 counts as true; `&&` and `||` give 1 or 0 and look at their right side only where
 * it matters, and of a choice only the chosen side is computed. Throws EvaluationError.
 */
export function evaluate(node: Node, lookup: Lookup = () => undefined): number {
    const value = (part: Node): number => evaluate(part, lookup);
    switch (node.kind) {
        case 'number': return node.value;
        case 'name': {
            const found = lookup(node.name);
            if (found === undefined) throw new EvaluationError(`unknown name ${node.name}`);
            return found;
        }
        case 'unary': return node.sign === '-' ? -value(node.operand) : Number(value(node.operand) === 0);
        case 'choice': return value(node.condition) !== 0 ? value(node.yes) : value(node.no);
        case 'call': return call(node.name, node.values.map(value));
        case 'binary':
            if (node.sign === '&&') return Number(value(node.left) !== 0 && value(node.right) !== 0);
            if (node.sign === '||') return Number(value(node.left) !== 0 || value(node.right) !== 0);
            return operate(node.sign, value(node.left), value(node.right));
    }
}
