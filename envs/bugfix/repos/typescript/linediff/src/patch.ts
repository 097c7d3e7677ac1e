import { diff, Run } from './diff';

/** One place of a patch. `from` and `to` count lines from 0; every line begins with ' ', '-' or '+'. */
export interface Hunk {
    from: number;
    to: number;
    lines: string[];
}

/** A patch that cannot be read or applied. */
export class PatchError extends Error {
    override name = 'PatchError';
}

const MARKS = { same: ' ', gone: '-', new: '+' } as const;

function isOld(line: string): boolean {
    return line[0] !== '+';
}

function isNew(line: string): boolean {
    return line[0] !== '-';
}

/** The changes between two lists of lines with so many equal lines around; hunks that would touch are one. */
export function hunks(before: readonly string[], after: readonly string[], context = 3): Hunk[] {
    const found: Hunk[] = [];
    const all = diff(before, after);
    all.forEach((run, index) => {
        if (run.kind === 'same') {
            const current = found[found.length - 1];
            const last = index === all.length - 1;
            if (current !== undefined && (last || run.length > 2 * context)) {
                current.lines.push(...marked(run, 0, Math.min(context, run.length), before, after));
            } else if (current !== undefined) {
                current.lines.push(...marked(run, 0, run.length, before, after));
            }
            return;
        }
        const previous = all[index - 1];
        if (found.length === 0 || (previous?.kind === 'same' && previous.length > 2 * context)) {
            found.push(opened(run, previous, context, before, after));
        }
        found[found.length - 1].lines.push(...marked(run, 0, run.length, before, after));
    });
    return found;
}

function opened(run: Run, previous: Run | undefined, context: number, before: readonly string[], after: readonly string[]): Hunk {
    const lead = previous === undefined ? 0 : Math.min(context, previous.length);
    const lines = previous === undefined ? [] : marked(previous, previous.length - lead, previous.length, before, after);
    return { from: run.from - lead, to: run.to - lead, lines };
}

function marked(run: Run, start: number, end: number, before: readonly string[], after: readonly string[]): string[] {
    const source = run.kind === 'new' ? after.slice(run.to) : before.slice(run.from);
    return source.slice(start, end).map((line) => MARKS[run.kind] + line);
}

function span(start: number, count: number): string {
    if (count === 1) return String(start + 1);
    return `${count === 0 ? start : start + 1},${count}`;
}

/** A unified patch: for every hunk its header and its lines. Empty where nothing changed. */
export function unified(before: readonly string[], after: readonly string[], context = 3): string {
    return hunks(before, after, context)
        .map((hunk) => {
            const old = span(hunk.from, hunk.lines.filter(isOld).length);
            const now = span(hunk.to, hunk.lines.filter(isNew).length);
            return [`@@ -${old} +${now} @@`, ...hunk.lines].map((line) => `${line}\n`).join('');
        })
        .join('');
}

const HEADER = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

function start(line: string, count: number): number {
    return count === 0 ? Number(line) : Number(line) - 1;
}

/** Read a unified patch; what stands before the first hunk is skipped. Throws PatchError where counts do not agree. */
export function parsePatch(text: string): Hunk[] {
    const rows = text.replace(/\n$/, '').split('\n');
    const found: Hunk[] = [];
    for (let at = 0; at < rows.length;) {
        const header = HEADER.exec(rows[at]);
        at += 1;
        if (header === null) {
            if (found.length > 0) throw new PatchError(`line ${at} belongs to no hunk`);
            continue;
        }
        const [oldCount, newCount] = [Number(header[2] ?? 1), Number(header[4] ?? 1)];
        const body: string[] = [];
        while (at < rows.length && /^[-+ ]/.test(rows[at]) && !complete(body, oldCount, newCount)) {
            body.push(rows[at]);
            at += 1;
        }
        if (body.filter(isOld).length !== oldCount || body.filter(isNew).length !== newCount) {
            throw new PatchError(`the hunk ${header[0]} has other counts than it says`);
        }
        found.push({ from: start(header[1], oldCount), to: start(header[3], newCount), lines: body });
    }
    return found;
}

function complete(body: string[], oldCount: number, newCount: number): boolean {
    return body.filter(isOld).length >= oldCount && body.filter(isNew).length >= newCount;
}

/** The same changes backwards. */
export function reversed(patch: readonly Hunk[]): Hunk[] {
    const turned: Record<string, string> = { ' ': ' ', '-': '+', '+': '-' };
    return patch.map(({ from, to, lines }) => ({ from: to, to: from, lines: lines.map((line) => turned[line[0]] + line.slice(1)) }));
}

/**
 * The lines after a patch. A hunk whose lines are not where they should be (after what hunks before it have moved) is tried
 * up to `fuzz` lines away, nearest first and then later first, never before the end of the hunk before it. Throws PatchError.
 */
export function applyPatch(before: readonly string[], patch: readonly Hunk[], fuzz = 0): string[] {
    const result: string[] = [];
    let done = 0;
    let moved = 0;
    patch.forEach((hunk, index) => {
        const wanted = hunk.lines.filter(isOld).map((line) => line.slice(1));
        const place = locate(before, wanted, hunk.from + moved, done, fuzz);
        if (place < 0) throw new PatchError(`hunk ${index + 1} does not apply`);
        moved = place - hunk.from;
        result.push(...before.slice(done, place), ...hunk.lines.filter(isNew).map((line) => line.slice(1)));
        done = place + wanted.length;
    });
    return [...result, ...before.slice(done)];
}

function locate(before: readonly string[], wanted: string[], expected: number, least: number, fuzz: number): number {
    for (let distance = 0; distance <= fuzz; distance += 1) {
        for (const place of [expected + distance, expected - distance]) {
            const fits = place >= least && place + wanted.length <= before.length;
            if (fits && wanted.every((line, index) => before[place + index] === line)) return place;
        }
    }
    return -1;
}
