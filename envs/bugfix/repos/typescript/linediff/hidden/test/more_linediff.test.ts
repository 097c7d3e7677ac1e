import { expect } from 'chai';
import { diff, lines, similarity } from '../src/diff';
import { merge, mergedLines } from '../src/merge';
import { applyPatch, hunks, parsePatch, PatchError, reversed, unified } from '../src/patch';

const WORDS = ['', 'a', 'ab', 'ba', 'abc', 'cab', 'aaaa', 'abab', 'abcabba', 'cbabac', 'xaxbxc', 'abcdefgh', 'hgfedcba', 'aabbccdd'];

function common(a: string, b: string): number {
    const table = Array.from({ length: a.length + 1 }, () => Array<number>(b.length + 1).fill(0));
    for (let i = 1; i <= a.length; i += 1) {
        for (let j = 1; j <= b.length; j += 1) {
            table[i][j] = a[i - 1] === b[j - 1] ? table[i - 1][j - 1] + 1 : Math.max(table[i - 1][j], table[i][j - 1]);
        }
    }
    return table[a.length][b.length];
}

describe('more of diff', () => {
    for (const a of WORDS) {
        it(`from "${a}" is shortest and covers both lists`, () => {
            for (const b of WORDS) {
                let [x, y, same] = [0, 0, 0];
                for (const run of diff([...a], [...b])) {
                    expect([run.from, run.to]).to.deep.equal([x, y]);
                    expect(run.length).to.be.greaterThan(0);
                    if (run.kind === 'same') expect(a.substr(x, run.length)).to.equal(b.substr(y, run.length));
                    if (run.kind !== 'new') x += run.length;
                    if (run.kind !== 'gone') y += run.length;
                    if (run.kind === 'same') same += run.length;
                }
                expect([x, y, same]).to.deep.equal([a.length, b.length, common(a, b)]);
            }
        });
    }
    it('removes before it adds', () => expect(diff([...'ab'], [...'cd'])).to.deep.equal([
        { kind: 'gone', from: 0, to: 0, length: 2 }, { kind: 'new', from: 2, to: 0, length: 2 },
    ]));
    it('takes numbers', () => expect(diff([1, 2], [1])).to.deep.equal([
        { kind: 'same', from: 0, to: 0, length: 1 }, { kind: 'gone', from: 1, to: 1, length: 1 },
    ]));
    it('is empty for nothing', () => expect(diff([], [])).to.deep.equal([]));
    it('splits odd texts', () => {
        expect(lines('')).to.deep.equal([]);
        expect(lines('\n')).to.deep.equal(['']);
        expect(lines('a')).to.deep.equal(['a']);
        expect(lines('a\n\n')).to.deep.equal(['a', '']);
    });
    it('measures extremes', () => {
        expect(similarity([], [])).to.equal(1);
        expect(similarity([1], [])).to.equal(0);
        expect(similarity([1, 2], [1, 2])).to.equal(1);
        expect(similarity([...'abc'], [...'a'])).to.equal(0.5);
    });
});

describe('more of patches', () => {
    const many = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    const changed = (...at: number[]): string[] => many.map((line, index) => (at.includes(index) ? line.toUpperCase() : line));
    it('joins hunks that touch', () => {
        expect(hunks(many, changed(5, 9), 2)).to.have.length(1);
        expect(hunks(many, changed(5, 10), 2)).to.have.length(1);
        expect(hunks(many, changed(5, 11), 2)).to.have.length(2);
    });
    it('places hunks', () => expect(hunks(many, changed(5, 15), 2).map(({ from, to, lines: all }) => [from, to, all.length])).to.deep.equal([[3, 3, 6], [13, 13, 6]]));
    it('cuts context at the ends', () => {
        expect(hunks(many, changed(0), 2)[0]).to.deep.equal({ from: 0, to: 0, lines: ['-line 0', '+LINE 0', ' line 1', ' line 2'] });
        expect(hunks(many, changed(19), 2)[0].lines).to.deep.equal([' line 17', ' line 18', '-line 19', '+LINE 19']);
        expect(hunks(many, changed(1), 2)[0].lines).to.have.length(5);
    });
    it('does without context', () => {
        expect(unified([...'abc'], [...'axbc'], 0)).to.equal('@@ -1,0 +2 @@\n+x\n');
        expect(unified([...'abc'], [...'ac'], 0)).to.equal('@@ -2 +1,0 @@\n-b\n');
    });
    it('prints from and to nothing', () => {
        expect(unified([], ['a', 'b'])).to.equal('@@ -0,0 +1,2 @@\n+a\n+b\n');
        expect(unified(['a'], [])).to.equal('@@ -1 +0,0 @@\n-a\n');
    });
    it('counts later hunks from both sides', () => {
        const after = ['new', ...changed(15)];
        expect(unified(many, after, 1)).to.equal('@@ -1 +1,2 @@\n+new\n line 0\n@@ -15,3 +16,3 @@\n line 14\n-line 15\n+LINE 15\n line 16\n');
    });
    for (const context of [0, 1, 3]) {
        it(`comes back with context ${context}`, () => {
            for (const a of WORDS) {
                for (const b of WORDS) {
                    const patch = parsePatch(unified([...a], [...b], context));
                    expect(patch).to.deep.equal(hunks([...a], [...b], context));
                    expect(applyPatch([...a], patch).join('')).to.equal(b);
                    expect(applyPatch([...b], reversed(patch)).join('')).to.equal(a);
                }
            }
        });
    }
    it('skips what stands before', () => expect(parsePatch('--- a\n+++ b\n@@ -1 +1 @@ note\n-a\n+b\n')).to.deep.equal([{ from: 0, to: 0, lines: ['-a', '+b'] }]));
    it('reads lines that look like headers', () => expect(parsePatch('@@ -1 +0,0 @@\n-@@ -1 +1 @@\n')[0].lines).to.deep.equal(['-@@ -1 +1 @@']));
    it('refuses what belongs to no hunk', () => {
        expect(() => parsePatch('@@ -1 +1 @@\n-a\n+b\n+c\n')).to.throw(PatchError, 'line 4');
        expect(() => parsePatch('@@ -1 +1 @@\n-a\n+b\nrest')).to.throw(PatchError, 'line 4');
    });
    it('refuses hunks that are cut short', () => {
        expect(() => parsePatch('@@ -1,2 +1,2 @@\n a\n')).to.throw(PatchError, 'other counts');
        expect(() => parsePatch('@@ -1 +1,2 @@\n-a\n+b\n')).to.throw(PatchError);
    });
    const one = parsePatch('@@ -3 +3 @@\n-x\n+y\n');
    it('finds the nearest place', () => {
        expect(applyPatch([...'x123x'], one, 4).join('')).to.equal('x123y');
        expect(applyPatch([...'1x234x'], one, 4).join('')).to.equal('1y234x');
    });
    it('takes the later of two places', () => expect(applyPatch([...'1x3x5'], one, 4).join('')).to.equal('1x3y5'));
    it('goes no further than told', () => {
        expect(applyPatch([...'1234x'], one, 2).join('')).to.equal('1234y');
        expect(() => applyPatch([...'12345x'], one, 2)).to.throw(PatchError);
        expect(applyPatch([...'x2345'], one, 2).join('')).to.equal('y2345');
    });
    it('remembers how far lines have moved', () => {
        const patch = hunks(many, changed(2, 12), 0);
        expect(applyPatch(['0', '0', ...many], patch, 2)).to.deep.equal(['0', '0', ...changed(2, 12)]);
        expect(() => applyPatch(['0', '0', ...many.slice(0, 8), '0', '0', '0', ...many.slice(8)], patch, 2)).to.throw(PatchError, 'hunk 2');
    });
    it('does not go back before the last hunk', () => {
        const patch = [{ from: 2, to: 2, lines: ['-x', '+y'] }, { from: 3, to: 3, lines: ['-x', '+z'] }];
        expect(() => applyPatch([...'abxcd'], patch, 5)).to.throw(PatchError, 'hunk 2');
    });
    it('needs the whole hunk', () => expect(() => applyPatch([...'ab'], parsePatch('@@ -2,2 +2 @@\n-b\n c\n'), 3)).to.throw(PatchError));
});

describe('more of merging', () => {
    const joined = (base: string, ours: string, theirs: string): string => mergedLines(merge([...base], [...ours], [...theirs]), 'o', 't').join('');
    const cases: [string, string, string, string][] = [
        ['abc', 'abc', 'abc', 'abc'], ['', '', '', ''], ['', 'a', '', 'a'], ['', '', 'a', 'a'], ['', 'a', 'a', 'a'], ['abc', '', '', ''],
        ['abcd', 'xabcd', 'abcdy', 'xabcdy'], ['abcdef', 'bcdef', 'abcde', 'bcde'], ['abcdef', 'abXcdef', 'abcdYef', 'abXcdYef'],
        ['abc', 'axc', 'ayc', 'a<<<<<<< ox=======y>>>>>>> tc'], ['abc', 'ac', 'abbc', 'a<<<<<<< o=======bb>>>>>>> tc'],
        ['abcd', 'aXcd', 'abYd', 'a<<<<<<< oXc=======bY>>>>>>> td'], ['ab', 'axb', 'ayb', 'a<<<<<<< ox=======y>>>>>>> tb'],
        ['abcde', 'aXXXe', 'abYde', 'a<<<<<<< oXXX=======bYd>>>>>>> te'], ['abcdefg', 'aXcdefg', 'abcdeYg', 'aXcdeYg'],
        ['abcde', 'aXXXe', 'aXXXe', 'aXXXe'], ['abcde', 'abcde', 'e', 'e'],
    ];
    for (const [base, ours, theirs, want] of cases) {
        it(`of "${ours}" and "${theirs}" over "${base}"`, () => expect(joined(base, ours, theirs)).to.equal(want));
    }
    it('gives one clean piece where all is clean', () => expect(merge([...'abc'], [...'xabc'], [...'abcy'])).to.deep.equal([{ kind: 'clean', lines: [...'xabcy'] }]));
    it('keeps what all three versions were', () => expect(merge([...'abcd'], [...'aXcd'], [...'abYd'])[1]).to.deep.equal(
        { kind: 'conflict', base: ['b', 'c'], ours: ['X', 'c'], theirs: ['b', 'Y'] }));
    it('does not change its arguments', () => {
        const base = [...'abc'];
        const pieces = merge(base, base, [...'xabc']);
        expect(pieces).to.have.length(1);
        expect(base.join('')).to.equal('abc');
    });
});
