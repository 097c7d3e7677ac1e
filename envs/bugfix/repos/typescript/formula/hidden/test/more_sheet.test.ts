import { expect } from 'chai';
import { evaluate, EvaluationError } from '../src/evaluate';
import { parse } from '../src/parser';
import { print, simplify } from '../src/print';
import { Sheet } from '../src/sheet';
import { FormulaError } from '../src/tokens';

const again = (text: string): string => print(parse(text));
const simple = (text: string): string => print(simplify(parse(text)));

describe('more of printing', () => {
    for (const text of [
        'a - (b - c)', 'a - b - c', '(a ^ b) ^ c', 'a ^ b ^ c', '(-a) ^ b', '-a ^ b', 'a ^ -b', '-(a + b)', '!(a && b)', '!a && b',
        '(a ? b : c) ? d : e', 'a ? b : c ? d : e', 'a ? b ? c : d : e', '(a ? b : c) + 1', 'f(a ? b : c, d)', '(a || b) && c',
        'a || b && c', 'a / (b * c)', 'a * b / c', 'a < (b < c)', 'a < b < c', 'a < b == c', '--a', 'a - -b', '-a * b', 'f()',
    ]) {
        it(`keeps ${text}`, () => expect(again(text)).to.equal(text));
    }
    it('drops those around signs and powers', () => expect(again('(-(a)) * (b ^ (c))')).to.equal('-a * b ^ c'));
    it('wraps negative numbers under a power', () => {
        expect(print({ kind: 'binary', sign: '^', left: { kind: 'number', value: -2 }, right: { kind: 'number', value: 2 } })).to.equal('(-2) ^ 2');
    });
});

describe('more of simplifying', () => {
    it('drops zeros and ones on both sides', () => {
        expect(['0 + x', 'x + 0', 'x - 0', '1 * x', 'x * 1', 'x / 1', 'x ^ 1'].map(simple)).to.deep.equal(Array(7).fill('x'));
    });
    it('keeps zeros and ones that matter', () => {
        for (const text of ['0 - x', '1 / x', '1 ^ x', 'x * 0', 'x + 1', 'x - 1', 'x ^ 0', 'x % 1']) expect(simple(text)).to.equal(text);
    });
    it('drops double minus only', () => {
        expect(simple('--x')).to.equal('x');
        expect(simple('!!x')).to.equal('!!x');
        expect(simple('-!x')).to.equal('-!x');
        expect(simple('!-x')).to.equal('!-x');
    });
    it('goes into every part', () => {
        expect(simple('f(1 + 1, x + 0)')).to.equal('f(2, x)');
        expect(simple('x ? 1 + 1 : 2 + 2')).to.equal('x ? 2 : 4');
        expect(simple('x + 0 ? 1 : 2')).to.equal('x ? 1 : 2');
    });
    it('computes functions', () => expect(simple('max(1, 2) * x')).to.equal('2 * x'));
    it('decides choices both ways', () => {
        expect(simple('0 ? a : b')).to.equal('b');
        expect(simple('2 - 1 ? a : b')).to.equal('a');
    });
    it('leaves what is not finite', () => expect(simple('1 / 0')).to.equal('1 / 0'));
    it('leaves what fails', () => expect(simple('f(1 + 1)')).to.equal('f(2)'));
    it('computes short-cut logic', () => expect(simple('0 && x')).to.equal('0'));
    it('keeps the value', () => {
        const tree = parse('-(x - 0) ^ 2 * (3 - 1) + (x > 2 ? x * 1 : 0 + x) / 4');
        for (const x of [-1, 0, 2.5, 7]) expect(evaluate(simplify(tree), () => x)).to.equal(evaluate(tree, () => x));
    });
});

describe('more of sheets', () => {
    it('keep what they computed', () => {
        const sheet = new Sheet().set('a', 1).set('b', 'a + 1').set('c', 'b + 1');
        expect(sheet.kept).to.equal(0);
        expect(sheet.get('b')).to.equal(2);
        expect(sheet.kept).to.equal(2);
    });
    it('forget only what depends', () => {
        const sheet = new Sheet().set('a', 1).set('b', 'a').set('c', 'b').set('x', 7);
        sheet.get('c');
        sheet.get('x');
        sheet.set('b', 5);
        expect(sheet.kept).to.equal(2);
        expect(sheet.get('c')).to.equal(5);
    });
    it('keep values of 0', () => {
        const sheet = new Sheet().set('a', 0).set('b', 'a * 2');
        sheet.get('b');
        expect(sheet.kept).to.equal(2);
    });
    it('follow changes over several steps', () => {
        const sheet = new Sheet().set('a', 1).set('b', 'a * 2').set('c', 'b * 2').set('d', 'c + a');
        expect(sheet.get('d')).to.equal(5);
        expect(sheet.set('a', 3).get('d')).to.equal(15);
    });
    it('stay as they were after a bad formula', () => {
        const sheet = new Sheet().set('a', 1).set('b', 'a');
        sheet.get('b');
        expect(() => sheet.set('a', '1 +')).to.throw(FormulaError);
        expect(sheet.kept).to.equal(2);
        expect(sheet.get('b')).to.equal(1);
    });
    it('refuse unknown names', () => {
        expect(() => new Sheet().get('a')).to.throw(EvaluationError, 'unknown name a');
        expect(() => new Sheet().set('a', 'b').get('a')).to.throw(EvaluationError, 'unknown name b');
    });
    it('find what is deleted missing', () => {
        const sheet = new Sheet().set('a', 1).set('b', 'a');
        sheet.get('b');
        expect(sheet.delete('a')).to.equal(true);
        expect(sheet.delete('a')).to.equal(false);
        expect(() => sheet.get('b')).to.throw(EvaluationError);
    });
    it('name only the circle', () => {
        const sheet = new Sheet().set('x', 'a').set('a', 'b + 1').set('b', 'a');
        expect(() => sheet.get('x')).to.throw(EvaluationError, /names: a -> b -> a$/);
    });
    it('find a cell that depends on itself', () => expect(() => new Sheet().set('a', 'a').get('a')).to.throw(EvaluationError, 'a -> a'));
    it('compute again after a circle is broken', () => {
        const sheet = new Sheet().set('a', 'b').set('b', 'a');
        expect(() => sheet.get('a')).to.throw(EvaluationError);
        expect(sheet.set('b', 4).get('a')).to.equal(4);
    });
    it('allow a cell twice where it is no circle', () => {
        const sheet = new Sheet().set('a', 2).set('b', 'a').set('c', 'a + b + a');
        expect(sheet.get('c')).to.equal(6);
    });
    it('avoid circles that are not chosen', () => expect(new Sheet().set('a', '1 ? 2 : a').get('a')).to.equal(2));
    it('list dependents without the cell itself', () => {
        const sheet = new Sheet().set('a', 'b').set('b', 'a').set('c', 1);
        expect(sheet.dependents('a')).to.deep.equal(['b']);
        expect(sheet.dependents('c')).to.deep.equal([]);
    });
    it('list names in order', () => expect(new Sheet().set('b', 1).set('a', 2).set('b', 3).names()).to.deep.equal(['b', 'a']));
});
