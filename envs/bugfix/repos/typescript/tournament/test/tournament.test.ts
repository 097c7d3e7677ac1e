import { expect } from 'chai';
import { Bracket, bracketSize, seedOrder } from '../src/bracket';
import { homeGames, roundRobin, swissRound } from '../src/schedule';
import { compare, difference, Game, places, rowOf, standings } from '../src/table';

const game = (text: string): Game => {
    const [home, a, b, away] = text.split(/[ :]/);
    return { home, away, score: [Number(a), Number(b)] };
};

describe('roundRobin', () => {
    it('pairs two', () => expect(roundRobin(['a', 'b'])).to.deep.equal([[['a', 'b']]]));
    it('has a round less than teams', () => expect(roundRobin(['a', 'b', 'c', 'd'])).to.have.length(3));
    it('leaves one idle', () => expect(roundRobin(['a', 'b', 'c']).map((round) => round.length)).to.deep.equal([1, 1, 1]));
    it('goes back', () => expect(roundRobin(['a', 'b'], true)).to.deep.equal([[['a', 'b']], [['b', 'a']]]));
    it('refuses doubles', () => expect(() => roundRobin(['a', 'a'])).to.throw(RangeError));
    it('counts home games', () => expect([...homeGames([[['a', 'b']], [['a', 'c']]])]).to.deep.equal([['a', 2], ['b', 0], ['c', 0]]));
});

describe('table', () => {
    const games = ['a 2:1 b', 'b 0:0 c', 'c 1:3 a'].map(game);
    it('counts a row', () => expect(rowOf('b', games)).to.deep.equal(
        { team: 'b', played: 2, won: 0, drawn: 1, lost: 1, scored: 1, conceded: 2, points: 1 }));
    it('knows the difference', () => expect(difference(rowOf('a', games))).to.equal(3));
    it('ranks by points', () => expect(standings(['c', 'b', 'a'], games).map((row) => row.team)).to.deep.equal(['a', 'b', 'c']));
    it('compares', () => expect(compare(rowOf('a', games), rowOf('b', games))).to.be.below(0));
    it('gives places', () => expect(places(standings(['a', 'b', 'c'], games))).to.deep.equal([1, 2, 3]));
    it('refuses strangers', () => expect(() => standings(['a'], games)).to.throw(RangeError, 'unknown team b'));
});

describe('swissRound', () => {
    it('pairs the neighbours', () => expect(swissRound(['a', 'b', 'c', 'd'], [])).to.deep.equal([['a', 'b'], ['c', 'd']]));
    it('avoids a second meeting', () => expect(swissRound(['a', 'b', 'c', 'd'], [game('a 1:0 b'), game('c 1:0 d')]))
        .to.deep.equal([['a', 'c'], ['b', 'd']]));
    it('leaves the last idle', () => expect(swissRound(['a', 'b', 'c'], [])).to.deep.equal([['a', 'b']]));
});

describe('bracket', () => {
    it('rounds up', () => expect(bracketSize(5)).to.equal(8));
    it('seeds four', () => expect(seedOrder(4)).to.deep.equal([1, 4, 3, 2]));
    it('opens the first round', () => expect(new Bracket(['a', 'b', 'c', 'd']).open()).to.deep.equal([['a', 'd'], ['c', 'b']]));
    it('gives byes', () => expect(new Bracket(['a', 'b', 'c']).open()).to.deep.equal([['c', 'b']]));
    it('finds the champion', () => expect(new Bracket(['a', 'b']).win('b').champion).to.equal('b'));
    it('names rounds', () => expect(new Bracket(['a', 'b', 'c']).roundName(1)).to.equal('half-final'));
});
