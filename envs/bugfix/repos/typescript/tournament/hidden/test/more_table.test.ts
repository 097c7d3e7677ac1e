import { expect } from 'chai';
import { Bracket, bracketSize, seedOrder } from '../src/bracket';
import { compare, difference, Game, places, rowOf, standings } from '../src/table';

const game = (text: string): Game => {
    const [home, a, b, away] = text.split(/[ :]/);
    return { home, away, score: [Number(a), Number(b)] };
};
const order = (teams: string, games: string[]): string =>
    standings([...teams], games.map(game)).map((row) => row.team).join('');

describe('more tables', () => {
    const games = ['a 2:1 b', 'b 3:3 c', 'c 1:4 a', 'b 2:0 a'].map(game);
    it('counts at home and away', () => expect(rowOf('a', games)).to.deep.equal(
        { team: 'a', played: 3, won: 2, drawn: 0, lost: 1, scored: 6, conceded: 4, points: 6 }));
    it('counts draws', () => expect(rowOf('c', games)).to.deep.equal(
        { team: 'c', played: 2, won: 0, drawn: 1, lost: 1, scored: 4, conceded: 7, points: 1 }));
    it('counts nothing', () => expect(rowOf('z', games)).to.include({ team: 'z', played: 0, points: 0 }));
    it('takes other points', () => expect(rowOf('b', games, { win: 20, draw: 7, loss: 1 }).points).to.equal(28));
    it('passes points on', () => expect(standings(['a', 'b', 'c'], games, { win: 1, draw: 5, loss: 0 })[0].team).to.equal('b'));
    it('has negative differences', () => expect(difference(rowOf('c', games))).to.equal(-3));
    it('ranks by difference', () => expect(order('abcd', ['a 1:0 c', 'b 2:0 d'])).to.equal('bacd'));
    it('ranks by goals', () => expect(order('abcd', ['a 1:0 c', 'b 2:1 d'])).to.equal('badc'));
    it('ranks points over goals', () => expect(order('abc', ['b 1:0 a', 'a 9:0 c', 'c 0:1 b'])).to.equal('bac'));
    it('ranks by the games among the level', () => {
        expect(order('abcd', ['b 1:0 a', 'a 1:0 c', 'b 0:1 d', 'c 0:1 d'])).to.equal('dbac');
        expect(order('abc', ['b 1:0 a', 'a 1:0 c', 'c 1:0 b'])).to.equal('abc');
    });
    it('ranks by other games of the level only', () => {
        const played = ['b 1:0 a', 'c 1:0 b', 'a 2:1 c', 'c 1:1 a'];
        expect(order('abc', played)).to.equal('acb');
    });
    it('ranks by points given among the level', () => {
        const rows = standings(['x', 'y', 'z'], ['y 1:0 x', 'z 0:1 x', 'y 0:1 z'].map(game), { win: 0, draw: 0, loss: 0 });
        expect(rows.map((row) => row.team)).to.deep.equal(['x', 'y', 'z']);
    });
    it('ranks by name', () => expect(order('dbca', [])).to.equal('abcd'));
    it('refuses the unknown at home', () => expect(() => order('b', ['a 1:0 b'])).to.throw(RangeError, 'unknown team a'));
    it('refuses a team against itself', () => expect(() => order('a', ['a 1:0 a'])).to.throw(RangeError, 'a against itself'));
    it('shares places', () => {
        const rows = standings([...'abcd'], [game('a 1:0 d')]);
        expect(places(rows)).to.deep.equal([1, 2, 2, 4]);
        expect(places(standings([...'abc'], []))).to.deep.equal([1, 1, 1]);
        expect(places([])).to.deep.equal([]);
    });
    it('compares equal rows', () => expect(compare(rowOf('y', []), rowOf('z', []))).to.equal(0));
    it('compares by goals', () => {
        expect(compare(rowOf('a', [game('a 3:2 b')]), rowOf('c', [game('c 2:1 d')]))).to.be.below(0);
        expect(compare(rowOf('a', [game('a 3:2 b')]), rowOf('c', [game('c 3:1 d')]))).to.be.above(0);
    });
});

describe('more brackets', () => {
    for (const [count, size] of [[1, 1], [2, 2], [3, 4], [4, 4], [8, 8], [9, 16]]) {
        it(`rounds ${count} up`, () => expect(bracketSize(count)).to.equal(size));
    }
    it('seeds one', () => expect(seedOrder(1)).to.deep.equal([1]));
    it('seeds two', () => expect(seedOrder(2)).to.deep.equal([1, 2]));
    it('seeds eight', () => expect(seedOrder(8)).to.deep.equal([1, 8, 5, 4, 3, 6, 7, 2]));
    it('needs two', () => expect(() => new Bracket(['a'])).to.throw(RangeError));
    it('gives the best byes', () => {
        const bracket = new Bracket([...'abcde']);
        expect(bracket.open()).to.deep.equal([['e', 'd'], ['c', 'b']]);
        expect(bracket.reached('a')).to.equal(2);
        expect(bracket.reached('d')).to.equal(1);
    });
    it('plays on', () => {
        const bracket = new Bracket([...'abcd']).win('d');
        expect(bracket.open()).to.deep.equal([['c', 'b']]);
        expect(bracket.win('b').open()).to.deep.equal([['d', 'b']]);
        expect(bracket.champion).to.equal(undefined);
        expect(bracket.win('d').champion).to.equal('d');
        expect(bracket.open()).to.deep.equal([]);
    });
    it('counts rounds', () => {
        const bracket = new Bracket([...'abcd']).win('d').win('b').win('b');
        expect([...'abcd'].map((team) => bracket.reached(team))).to.deep.equal([1, 3, 1, 2]);
    });
    it('lets the beaten go', () => {
        const bracket = new Bracket([...'abcd']).win('a');
        expect(() => bracket.win('d')).to.throw(RangeError, 'd has no open game');
        expect(() => bracket.win('a')).to.throw(RangeError);
    });
    it('wins nothing after the final', () => expect(() => new Bracket(['a', 'b']).win('a').win('a')).to.throw(RangeError));
    it('does not know strangers', () => expect(() => new Bracket(['a', 'b']).win('x')).to.throw(RangeError));
    it('waits for a rival', () => {
        const bracket = new Bracket(['a', 'b', 'c']);
        expect(() => bracket.win('a')).to.throw(RangeError, 'a has no open game');
        expect(bracket.win('c').win('a').champion).to.equal('a');
    });
    it('names later rounds', () => {
        const bracket = new Bracket([...'abcdefghi']);
        expect([1, 2, 3, 4].map((number) => bracket.roundName(number))).to.deep.equal(['round of 16', 'quarter-final', 'half-final', 'final']);
    });
    it('plays eight', () => {
        const bracket = new Bracket([...'abcdefgh']);
        expect(bracket.open()).to.deep.equal([['a', 'h'], ['e', 'd'], ['c', 'f'], ['g', 'b']]);
        bracket.win('h').win('e').win('f').win('b');
        expect(bracket.open()).to.deep.equal([['h', 'e'], ['f', 'b']]);
    });
});
