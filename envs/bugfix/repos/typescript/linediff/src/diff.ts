/** A run of equal, removed or added items: `from` and `to` are the first index in the old and in the new list. */
export interface Run {
    kind: 'same' | 'gone' | 'new';
    from: number;
    to: number;
    length: number;
}

/** The lines of a text without their ends; a last line end begins no further line, and no text has no lines. */
export function lines(text: string): string[] {
    if (text === '') return [];
    return text.replace(/\n$/, '').split('\n');
}

/**
 * A shortest edit script, as runs that cover both lists: among equally short ones removals come before additions. Myers,
 * "An O(ND) difference algorithm" (1986).
 */
export function diff<T>(before: readonly T[], after: readonly T[]): Run[] {
    return runs(backtrack(before, after, trace(before, after)));
}

/** For each number of edits the furthest index in `before` on every diagonal (before - after), before these edits. */
function trace<T>(before: readonly T[], after: readonly T[]): Map<number, number>[] {
    const reach = new Map<number, number>([[1, 0]]);
    const history: Map<number, number>[] = [];
    for (let edits = 0; ; edits += 1) {
        history.push(new Map(reach));
        for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
            let x = goesDown(reach, diagonal, edits) ? reach.get(diagonal + 1)! : reach.get(diagonal - 1)! + 1;
            while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x += 1;
            reach.set(diagonal, x);
            if (x >= before.length && x - diagonal >= after.length) return history;
        }
    }
}

/** Whether the furthest path to a diagonal ends with an addition. */
function goesDown(reach: Map<number, number>, diagonal: number, edits: number): boolean {
    if (diagonal === -edits) return true;
    return diagonal !== edits && reach.get(diagonal - 1)! < reach.get(diagonal + 1)!;
}

/** The single steps of the path, from the first to the last. */
function backtrack<T>(before: readonly T[], after: readonly T[], history: Map<number, number>[]): Run[] {
    const steps: Run[] = [];
    let x = before.length;
    let y = after.length;
    for (let edits = history.length - 1; edits >= 0; edits -= 1) {
        const reach = history[edits];
        const down = goesDown(reach, x - y, edits);
        const startX = edits === 0 ? 0 : down ? reach.get(x - y + 1)! : reach.get(x - y - 1)! + 1;
        while (x > startX) {
            x -= 1;
            y -= 1;
            steps.push({ kind: 'same', from: x, to: y, length: 1 });
        }
        if (edits === 0) break;
        if (down) y -= 1;
        else x -= 1;
        steps.push({ kind: down ? 'new' : 'gone', from: x, to: y, length: 1 });
    }
    return steps.reverse();
}

/** Join single steps; in each stretch of edits all removals go before all additions. */
function runs(steps: Run[]): Run[] {
    const found: Run[] = [];
    for (let at = 0; at < steps.length;) {
        const { kind, from, to } = steps[at];
        let end = at;
        while (end < steps.length && (steps[end].kind === 'same') === (kind === 'same')) end += 1;
        const stretch = steps.slice(at, end);
        const gone = stretch.filter((step) => step.kind === 'gone').length;
        if (kind === 'same') found.push({ kind, from, to, length: end - at });
        if (gone > 0) found.push({ kind: 'gone', from, to, length: gone });
        if (kind !== 'same' && gone < stretch.length) {
            found.push({ kind: 'new', from: from + gone, to, length: stretch.length - gone });
        }
        at = end;
    }
    return found;
}

/** How alike two lists are: twice the number of items they share over the number of all, 1 for two empty lists. */
export function similarity<T>(before: readonly T[], after: readonly T[]): number {
    const all = before.length + after.length;
    const same = diff(before, after).reduce((sum, run) => sum + (run.kind === 'same' ? run.length : 0), 0);
    return all === 0 ? 1 : (2 * same) / all;
}
