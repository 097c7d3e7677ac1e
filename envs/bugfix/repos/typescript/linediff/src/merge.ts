import { diff } from './diff';

/** A stretch of a merged text: agreed lines, or three versions of which a person must choose. */
export type Piece =
    | { kind: 'clean'; lines: string[] }
    | { kind: 'conflict'; base: string[]; ours: string[]; theirs: string[] };

/** What replaces the lines of the base from `start` up to `end`. */
interface Edit {
    start: number;
    end: number;
    lines: string[];
}

function edits(base: readonly string[], side: readonly string[]): Edit[] {
    const found: Edit[] = [];
    for (const run of diff(base, side)) {
        if (run.kind === 'same') continue;
        const last = found[found.length - 1];
        const joins = last !== undefined && last.end === run.from;
        const edit = joins ? last : { start: run.from, end: run.from, lines: [] };
        if (!joins) found.push(edit);
        if (run.kind === 'gone') edit.end += run.length;
        else edit.lines.push(...side.slice(run.to, run.to + run.length));
    }
    return found;
}

/** The lines of one side for a stretch of the base, all its edits being inside. */
function version(base: readonly string[], list: Edit[], start: number, end: number): string[] {
    const result: string[] = [];
    let at = start;
    for (const edit of list) {
        result.push(...base.slice(at, edit.start), ...edit.lines);
        at = edit.end;
    }
    return [...result, ...base.slice(at, end)];
}

const same = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((line, i) => line === b[i]);

/**
 * Join two changes of one base. Edits that overlap or touch are one place: it is clean where both sides come to the same
 * lines or only one side changed it, and otherwise a conflict.
 */
export function merge(base: readonly string[], ours: readonly string[], theirs: readonly string[]): Piece[] {
    const [left, right] = [edits(base, ours), edits(base, theirs)];
    const pieces: Piece[] = [];
    let at = 0;
    while (left.length > 0 || right.length > 0) {
        const start = Math.min(left[0]?.start ?? Infinity, right[0]?.start ?? Infinity);
        let end = start;
        const mine: Edit[] = [];
        const yours: Edit[] = [];
        for (let grown = true; grown;) {
            grown = false;
            for (const [list, taken] of [[left, mine], [right, yours]]) {
                while (list.length > 0 && list[0].start <= end) {
                    end = Math.max(end, list[0].end);
                    taken.push(list.shift()!);
                    grown = true;
                }
            }
        }
        push(pieces, { kind: 'clean', lines: base.slice(at, start) });
        push(pieces, decide(base.slice(start, end), version(base, mine, start, end), version(base, yours, start, end)));
        at = end;
    }
    push(pieces, { kind: 'clean', lines: base.slice(at) });
    return pieces;
}

function decide(base: string[], ours: string[], theirs: string[]): Piece {
    if (same(ours, theirs) || same(base, theirs)) return { kind: 'clean', lines: ours };
    if (same(base, ours)) return { kind: 'clean', lines: theirs };
    return { kind: 'conflict', base, ours, theirs };
}

function push(pieces: Piece[], piece: Piece): void {
    const last = pieces[pieces.length - 1];
    if (piece.kind === 'clean' && last?.kind === 'clean') last.lines.push(...piece.lines);
    else if (piece.kind === 'conflict' || piece.lines.length > 0) pieces.push(piece);
}

/** The merged lines, conflicts between marks that name both sides. */
export function mergedLines(pieces: readonly Piece[], ours = 'ours', theirs = 'theirs'): string[] {
    return pieces.flatMap((piece) =>
        piece.kind === 'clean' ? piece.lines : [`<<<<<<< ${ours}`, ...piece.ours, '=======', ...piece.theirs, `>>>>>>> ${theirs}`],
    );
}
