import { expect } from 'chai';
import { evaluate, EvaluationError } from '../src/evaluate';
import { parse } from '../src/parser';
import { print, simplify } from '../src/print';
import { Sheet } from '../src/sheet';

describe('print', () => {
    it('drops needless parentheses', () => expect(print(parse('((1 + (2 * 3)))'))).to.equal('1 + 2 * 3'));
    it('keeps needed parentheses', () => expect(print(parse('(1 + 2) * 3 - (4 - 5)'))).to.equal('(1 + 2) * 3 - (4 - 5)'));
    it('writes calls', () => expect(print(parse('max( 1,x )'))).to.equal('max(1, x)'));
});

describe('simplify', () => {
    const simple = (text: string): string => print(simplify(parse(text)));
    it('computes constants', () => expect(simple('x * (2 + 3)')).to.equal('x * 5'));
    it('drops what changes nothing', () => expect(simple('(x + 0) * 1')).to.equal('x'));
    it('decides choices', () => expect(simple('1 < 2 ? a : b')).to.equal('a'));
});

describe('Sheet', () => {
    it('computes through names', () => {
        const sheet = new Sheet().set('net', 100).set('tax', 'net * 0.2').set('gross', 'net + tax');
        expect(sheet.get('gross')).to.equal(120);
    });
    it('follows changes', () => {
        const sheet = new Sheet().set('a', 1).set('b', 'a + 1');
        expect(sheet.get('b')).to.equal(2);
        expect(sheet.set('a', 5).get('b')).to.equal(6);
    });
    it('finds circles', () => {
        const sheet = new Sheet().set('a', 'b').set('b', 'a');
        expect(() => sheet.get('a')).to.throw(EvaluationError, 'a -> b -> a');
    });
    it('knows dependents', () => {
        const sheet = new Sheet().set('c', 'b').set('b', 'a').set('a', 1);
        expect(sheet.dependents('a')).to.deep.equal(['c', 'b']);
    });
    it('prints what evaluates the same', () => {
        const text = '1 - (2 - 3) * -(4 + 1) ^ 2';
        expect(evaluate(parse(print(parse(text))))).to.equal(evaluate(parse(text)));
    });
});
