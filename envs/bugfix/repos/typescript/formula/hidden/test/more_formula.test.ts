import { expect } from 'chai';
import { call, evaluate, EvaluationError, modulo, operate, round } from '../src/evaluate';
import { parse, parts, variables } from '../src/parser';
import { FormulaError, tokenize } from '../src/tokens';

const value = (text: string, names: Record<string, number> = {}): number => evaluate(parse(text), (name) => names[name]);

describe('more of tokens', () => {
    const texts = (text: string): string[] => tokenize(text).map((token) => token.text);
    it('reads all forms of numbers', () => expect(texts('1 2. .5 1e3 2.5E-2')).to.deep.equal(['1', '2.', '.5', '1e3', '2.5E-2', '']));
    it('reads two-character signs whole', () => expect(texts('a>=b!=c&&d||!e')).to.deep.equal(
        ['a', '>=', 'b', '!=', 'c', '&&', 'd', '||', '!', 'e', '']));
    it('does not need blanks', () => expect(texts('f(x,1)')).to.deep.equal(['f', '(', 'x', ',', '1', ')', '']));
    it('skips blanks at both ends', () => expect(tokenize('  a  ').map((token) => token.at)).to.deep.equal([2, 5]));
    it('is only the end for nothing', () => expect(tokenize('   ')).to.deep.equal([{ kind: 'end', text: '', at: 3 }]));
    it('refuses numbers that run into names', () => expect(() => tokenize('2x')).to.throw(FormulaError, 'at 1'));
    it('takes names with digits and underscores', () => expect(texts('_a1_')).to.deep.equal(['_a1_', '']));
    it('refuses a lone &', () => expect(() => tokenize('a & b')).to.throw(FormulaError).with.property('at', 2));
});

describe('more of parsing', () => {
    it('nests choices to the right', () => {
        expect(value('a ? 1 : b ? 2 : 3', { a: 0, b: 1 })).to.equal(2);
        expect(value('a ? 1 : b ? 2 : 3', { a: 0, b: 0 })).to.equal(3);
        expect(value('a ? b ? 1 : 2 : 3', { a: 1, b: 0 })).to.equal(2);
    });
    it('binds && tighter than ||', () => expect(value('1 || 0 && 0')).to.equal(1));
    it('binds comparisons tighter than equality', () => expect(value('1 < 2 == 3 > 2')).to.equal(1));
    it('binds + tighter than comparisons', () => expect(value('1 + 1 < 3')).to.equal(1));
    it('binds == tighter than &&', () => expect(value('2 && 2 == 2')).to.equal(1));
    it('treats * / % alike from the left', () => {
        expect(value('12 / 2 * 3')).to.equal(18);
        expect(value('7 * 3 % 4')).to.equal(1);
    });
    it('takes signs before operands anywhere', () => {
        expect(value('2 * -3')).to.equal(-6);
        expect(value('--2')).to.equal(2);
        expect(value('!0 + 1')).to.equal(2);
        expect(value('2 ^ -1')).to.equal(0.5);
        expect(value('-2 * 3 + 10')).to.equal(4);
    });
    it('groups from the left as a tree', () => expect(parse('a - b - c')).to.deep.equal({
        kind: 'binary', sign: '-', right: { kind: 'name', name: 'c' },
        left: { kind: 'binary', sign: '-', left: { kind: 'name', name: 'a' }, right: { kind: 'name', name: 'b' } },
    }));
    it('wants closing parentheses', () => {
        expect(() => parse('(1 + 2')).to.throw(FormulaError, 'unexpected end');
        expect(() => parse('f(1, 2')).to.throw(FormulaError, 'unexpected end');
    });
    it('wants nothing behind', () => expect(() => parse('1 2')).to.throw(FormulaError, 'unexpected "2" at 2'));
    it('wants values between commas', () => {
        expect(() => parse('f(1,)')).to.throw(FormulaError, 'unexpected ")"');
        expect(() => parse('f(,)')).to.throw(FormulaError);
    });
    it('wants both sides of a choice', () => expect(() => parse('a ? b')).to.throw(FormulaError, 'unexpected end at 5'));
    it('wants something', () => expect(() => parse('')).to.throw(FormulaError, 'unexpected end at 0'));
    it('knows the parts in order', () => {
        expect(parts(parse('a ? b : c'))).to.deep.equal([parse('a'), parse('b'), parse('c')]);
        expect(parts(parse('f(x, y)'))).to.have.length(2);
        expect(parts(parse('-x'))).to.deep.equal([parse('x')]);
        expect(parts(parse('x'))).to.deep.equal([]);
    });
    it('does not count functions as variables', () => expect(variables(parse('f(1)'))).to.deep.equal([]));
});

describe('more of evaluating', () => {
    it('skips the right side where it does not matter', () => {
        expect(value('0 && nothing')).to.equal(0);
        expect(value('3 || nothing')).to.equal(1);
        expect(value('1 ? 2 : nothing')).to.equal(2);
        expect(value('0 ? nothing : 3')).to.equal(3);
    });
    it('gives 1 or 0 for logic', () => {
        expect(value('2 && 3')).to.equal(1);
        expect(value('2 && 0')).to.equal(0);
        expect(value('0 || 0')).to.equal(0);
        expect(value('0 || 4')).to.equal(1);
        expect(value('!3')).to.equal(0);
    });
    it('compares at the border', () => {
        expect([value('2 < 2'), value('2 <= 2'), value('2 > 2'), value('2 >= 2')]).to.deep.equal([0, 1, 0, 1]);
        expect([value('2 == 2'), value('2 != 2'), value('1 == 2'), value('1 != 2')]).to.deep.equal([1, 0, 0, 1]);
        expect([value('3 > 2'), value('1 >= 2')]).to.deep.equal([1, 0]);
    });
    it('takes the modulus with the sign of the divisor', () => {
        expect(modulo(-7, 3)).to.equal(2);
        expect(modulo(7, -3)).to.equal(-2);
        expect(modulo(-7, -3)).to.equal(-1);
        expect(modulo(7, 3)).to.equal(1);
        expect(Math.abs(modulo(-6, 3))).to.equal(0);
    });
    it('rounds halves away from zero', () => {
        expect([round(2.5), round(-2.5), round(2.4), round(-2.4)]).to.deep.equal([3, -3, 2, -2]);
        expect(value('round(1.25, 1)')).to.equal(1.3);
        expect(value('round(1234, 0 - 2)')).to.equal(1200);
    });
    it('has the usual functions', () => {
        expect(value('abs(-3)')).to.equal(3);
        expect(value('sqrt(16)')).to.equal(4);
        expect(value('min(3, 1, 2)')).to.equal(1);
        expect(value('mean(1, 2, 6)')).to.equal(3);
        expect(value('sum(1, 2, 3)')).to.equal(6);
    });
    it('clamps', () => {
        expect([value('clamp(5, 1, 3)'), value('clamp(0, 1, 3)'), value('clamp(2, 1, 3)')]).to.deep.equal([3, 1, 2]);
    });
    it('counts values', () => {
        expect(() => call('abs', [])).to.throw(EvaluationError, 'abs does not take 0 values');
        expect(() => call('abs', [1, 2])).to.throw(EvaluationError);
        expect(() => call('round', [1, 2, 3])).to.throw(EvaluationError);
        expect(() => call('max', [])).to.throw(EvaluationError);
        expect(call('max', [7])).to.equal(7);
    });
    it('divides by zero as numbers do', () => expect(value('1 / 0')).to.equal(Infinity));
    it('refuses unknown operators', () => expect(() => operate('@', 1, 2)).to.throw(EvaluationError));
    it('finds a name whose value is 0', () => expect(value('x', { x: 0 })).to.equal(0));
    it('does not find what objects inherit', () => expect(() => value('toString(1)')).to.throw(EvaluationError));
});
