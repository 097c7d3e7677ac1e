import { expect } from 'chai';
import { evaluate, EvaluationError } from '../src/evaluate';
import { parse, variables } from '../src/parser';
import { FormulaError, tokenize } from '../src/tokens';

const value = (text: string, names: Record<string, number> = {}): number => evaluate(parse(text), (name) => names[name]);

describe('formula', () => {
    it('tells tokens apart', () => {
        expect(tokenize('a1 <= 2.5').map((token) => [token.kind, token.text, token.at])).to.deep.equal([
            ['name', 'a1', 0], ['sign', '<=', 3], ['number', '2.5', 6], ['end', '', 9],
        ]);
    });
    it('refuses foreign characters', () => expect(() => tokenize('1 # 2')).to.throw(FormulaError, 'unexpected "#" at 2'));
    it('binds * tighter than +', () => expect(value('1 + 2 * 3')).to.equal(7));
    it('goes from the left', () => expect(value('10 - 4 - 3')).to.equal(3));
    it('takes powers from the right', () => expect(value('2 ^ 3 ^ 2')).to.equal(512));
    it('negates after the power', () => expect(value('-2 ^ 2')).to.equal(-4));
    it('respects parentheses', () => expect(value('(1 + 2) * 3')).to.equal(9));
    it('compares', () => {
        expect(value('1 < 2')).to.equal(1);
        expect(value('2 <= 1')).to.equal(0);
    });
    it('chooses', () => expect(value('x > 0 ? 10 : 20', { x: 1 })).to.equal(10));
    it('calls functions', () => expect(value('max(1, 5, 3) + sum()')).to.equal(5));
    it('looks names up', () => expect(value('x * y', { x: 3, y: 4 })).to.equal(12));
    it('refuses unknown names', () => expect(() => value('z')).to.throw(EvaluationError, 'unknown name z'));
    it('refuses unknown functions', () => expect(() => value('f(1)')).to.throw(EvaluationError, 'unknown function f'));
    it('says where it stopped', () => expect(() => parse('1 + ')).to.throw(FormulaError, 'unexpected end at 4'));
    it('names the variables', () => expect(variables(parse('b * a + f(b, c)'))).to.deep.equal(['a', 'b', 'c']));
});
