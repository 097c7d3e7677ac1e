import { expect } from 'chai';
import { homeGames, roundRobin, swissRound } from '../src/schedule';
import { Game } from '../src/table';

const game = (text: string): Game => {
    const [home, a, b, away] = text.split(/[ :]/);
    return { home, away, score: [Number(a), Number(b)] };
};
const teams = (count: number): string[] => [...'abcdefghij'].slice(0, count);

describe('more round robins', () => {
    it('is empty for one', () => expect(roundRobin(['a'])).to.deep.equal([]));
    it('is empty for none', () => expect(roundRobin([], true)).to.deep.equal([]));
    it('turns the circle', () => expect(roundRobin(teams(4))).to.deep.equal([
        [['a', 'd'], ['c', 'b']], [['c', 'a'], ['b', 'd']], [['a', 'b'], ['d', 'c']],
    ]));
    it('turns with one idle', () => expect(roundRobin(teams(3))).to.deep.equal([[['c', 'b']], [['c', 'a']], [['a', 'b']]]));
    for (const count of [2, 3, 4, 5, 6, 7, 8]) {
        it(`lets ${count} meet once`, () => {
            const met = roundRobin(teams(count)).flat().map((pair) => [...pair].sort().join(''));
            expect(met).to.have.length((count * (count - 1)) / 2);
            expect(new Set(met).size).to.equal(met.length);
        });
        it(`lets ${count} play once a round`, () => {
            for (const round of roundRobin(teams(count))) expect(new Set(round.flat()).size).to.equal(round.flat().length);
        });
    }
    it('changes the homes', () => {
        const rounds = roundRobin(teams(5), true);
        expect(rounds).to.have.length(10);
        expect(rounds[7]).to.deep.equal(rounds[2].map(([home, away]) => [away, home]));
        expect([...homeGames(rounds).values()]).to.deep.equal([4, 4, 4, 4, 4]);
    });
    it('shares the homes', () => {
        for (const count of homeGames(roundRobin(teams(6))).values()) expect(count).to.be.within(2, 3);
    });
    it('counts nothing', () => expect(homeGames([]).size).to.equal(0));
});

describe('more Swiss rounds', () => {
    it('follows the table', () => expect(swissRound(teams(4), [game('a 0:1 d'), game('b 0:2 c')])).to.deep.equal([['c', 'd'], ['a', 'b']]));
    it('looks both ways', () => expect(swissRound(['a', 'b', 'c', 'd'], [game('b 0:1 a'), game('d 0:1 c')]))
        .to.deep.equal([['a', 'c'], ['b', 'd']]));
    it('goes back for the last', () => {
        const games = ['c 0:0 d', 'a 0:0 b'].map(game);
        expect(swissRound(teams(4), games)).to.deep.equal([['a', 'c'], ['b', 'd']]);
    });
    it('changes its mind', () => {
        const games = ['e 0:0 f', 'c 0:0 e', 'c 0:0 f'].map(game);
        expect(swissRound(teams(6), games)).to.be.an('array').with.length(3);
        expect(swissRound(['a', 'b', 'c', 'd'], [game('c 0:0 d')])).to.deep.equal([['c', 'a'], ['d', 'b']]);
    });
    it('ends', () => expect(swissRound(['a', 'b'], [game('a 1:0 b')])).to.equal(undefined));
    it('ends with one idle', () => expect(swissRound(teams(3), [], teams(3))).to.equal(undefined));
    it('gives each a bye once', () => expect(swissRound(teams(3), [], ['c'])).to.deep.equal([['a', 'c']]));
    it('gives the bye further up', () => expect(swissRound(teams(3), [game('a 0:0 b')])).to.deep.equal([['a', 'c']]));
    it('pairs nobody', () => expect(swissRound([], [])).to.deep.equal([]));
    it('leaves one alone', () => expect(swissRound(['a'], [])).to.deep.equal([]));
});
