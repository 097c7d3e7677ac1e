import { expect } from 'chai';
import { diff, lines, similarity } from '../src/diff';
import { merge, mergedLines } from '../src/merge';
import { applyPatch, hunks, parsePatch, PatchError, reversed, unified } from '../src/patch';

const short = (a: string, b: string): string => diff([...a], [...b]).map((run) => `${run.kind[0]}${run.length}`).join(' ');

describe('diff', () => {
    it('finds nothing between equal lists', () => expect(short('abc', 'abc')).to.equal('s3'));
    it('finds removals', () => expect(short('abc', 'ac')).to.equal('s1 g1 s1'));
    it('finds additions', () => expect(short('ac', 'abc')).to.equal('s1 n1 s1'));
    it('replaces', () => expect(short('abc', 'axc')).to.equal('s1 g1 n1 s1'));
    it('is shortest', () => expect(diff([...'abcabba'], [...'cbabac']).filter((run) => run.kind !== 'same')
        .reduce((sum, run) => sum + run.length, 0)).to.equal(5));
    it('splits lines', () => expect(lines('a\n\nb\n')).to.deep.equal(['a', '', 'b']));
    it('measures similarity', () => expect(similarity([...'abcd'], [...'abxd'])).to.equal(0.75));
});

describe('patch', () => {
    const before = lines('1\n2\n3\n4\n5\n6\n7\n8\n9\n');
    const after = lines('1\n2\n3\n4\nfive\n6\n7\n8\n9\n');
    const text = '@@ -4,3 +4,3 @@\n 4\n-5\n+five\n 6\n';
    it('prints', () => expect(unified(before, after, 1)).to.equal(text));
    it('prints nothing for equal lists', () => expect(unified(before, before)).to.equal(''));
    it('parses', () => expect(parsePatch(text)).to.deep.equal([{ from: 3, to: 3, lines: [' 4', '-5', '+five', ' 6'] }]));
    it('applies', () => expect(applyPatch(before, parsePatch(text))).to.deep.equal(after));
    it('applies backwards', () => expect(applyPatch(after, reversed(parsePatch(text)))).to.deep.equal(before));
    it('applies to moved lines', () => {
        expect(applyPatch(['0', ...before], parsePatch(text), 1)).to.deep.equal(['0', ...after]);
        expect(() => applyPatch(['0', ...before], parsePatch(text))).to.throw(PatchError, 'hunk 1 does not apply');
    });
    it('has three lines of context', () => expect(hunks(before, after)[0].lines).to.have.length(8));
    it('refuses wrong counts', () => expect(() => parsePatch('@@ -1,2 +1 @@\n-a\n+b\n')).to.throw(PatchError));
});

describe('merge', () => {
    const base = [...'abcdef'];
    it('takes both changes', () => expect(mergedLines(merge(base, [...'aBcdef'], [...'abcdEf']))).to.deep.equal([...'aBcdEf']));
    it('takes one change', () => expect(mergedLines(merge(base, base, [...'abc']))).to.deep.equal([...'abc']));
    it('takes equal changes once', () => expect(mergedLines(merge(base, [...'aXf'], [...'aXf']))).to.deep.equal([...'aXf']));
    it('tells conflicts', () => expect(merge(base, [...'abXdef'], [...'abYdef'])).to.deep.equal([
        { kind: 'clean', lines: ['a', 'b'] }, { kind: 'conflict', base: ['c'], ours: ['X'], theirs: ['Y'] },
        { kind: 'clean', lines: ['d', 'e', 'f'] },
    ]));
    it('marks conflicts', () => expect(mergedLines(merge(['a'], ['b'], ['c']))).to.deep.equal(
        ['<<<<<<< ours', 'b', '=======', 'c', '>>>>>>> theirs']));
});
