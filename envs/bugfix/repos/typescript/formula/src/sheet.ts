import { evaluate, EvaluationError } from './evaluate';
import { Node, parse, variables } from './parser';

/** Named formulas that refer to one another; values are computed when asked for, and kept until something changes. */
export class Sheet {
    private readonly cells = new Map<string, Node>();
    private readonly values = new Map<string, number>();

    /** Set a cell to a formula or a number. Throws FormulaError, and the sheet stays as it was. */
    set(name: string, formula: string | number): this {
        const node: Node = typeof formula === 'number' ? { kind: 'number', value: formula } : parse(formula);
        this.forget(name);
        this.cells.set(name, node);
        return this;
    }

    /** Take a cell out; says whether it was there. */
    delete(name: string): boolean {
        this.forget(name);
        return this.cells.delete(name);
    }

    /** The names of all cells in the order in which they were first set. */
    names(): string[] {
        return [...this.cells.keys()];
    }

    /** The value of a cell. Throws EvaluationError for an unknown cell or one that depends on itself. */
    get(name: string): number {
        return this.compute(name, []);
    }

    /** The cells whose value depends on this one, directly or not, in the order of `names`; not the cell itself. */
    dependents(name: string): string[] {
        const found = new Set<string>();
        const open = [name];
        while (open.length > 0) {
            const at = open.pop()!;
            for (const [other, node] of this.cells) {
                if (!found.has(other) && variables(node).includes(at)) {
                    found.add(other);
                    open.push(other);
                }
            }
        }
        found.delete(name);
        return this.names().filter((other) => found.has(other));
    }

    /** How many values are kept at this moment. */
    get kept(): number {
        return this.values.size;
    }

    private forget(name: string): void {
        for (const other of [name, ...this.dependents(name)]) this.values.delete(other);
    }

    private compute(name: string, path: string[]): number {
        const kept = this.values.get(name);
        if (kept !== undefined) return kept;
        const node = this.cells.get(name);
        if (node === undefined) throw new EvaluationError(`unknown name ${name}`);
        if (path.includes(name)) {
            const circle = [...path.slice(path.indexOf(name)), name];
            throw new EvaluationError(`a circle of names: ${circle.join(' -> ')}`);
        }
        const value = evaluate(node, (other) => this.compute(other, [...path, name]));
        this.values.set(name, value);
        return value;
    }
}
