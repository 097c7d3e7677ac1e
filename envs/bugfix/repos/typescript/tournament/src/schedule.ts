import { Game, standings } from './table';

/** A game to be played; the home team is named first. */
export type Pairing = [home: string, away: string];

/**
 * The rounds of a round robin by the circle method: everyone meets everyone once, or twice with the homes changed. With an
 * odd number of teams one is idle in each round. Throws RangeError for a team that is named twice.
 */
export function roundRobin(teams: readonly string[], twice = false): Pairing[][] {
    if (new Set(teams).size !== teams.length) throw new RangeError('a team is named twice');
    if (teams.length < 2) return [];
    const circle: (string | null)[] = teams.length % 2 === 0 ? [...teams] : [...teams, null];
    const rounds: Pairing[][] = [];
    for (let number = 0; number < circle.length - 1; number++) {
        rounds.push(pairAcross(circle, number));
        circle.splice(1, 0, circle.pop()!);
    }
    return twice ? [...rounds, ...rounds.map((round) => round.map(turned))] : rounds;
}

function pairAcross(circle: readonly (string | null)[], number: number): Pairing[] {
    const pairs: Pairing[] = [];
    for (let i = 0; i < circle.length / 2; i++) {
        const one = circle[i];
        const other = circle[circle.length - 1 - i];
        if (one === null || other === null) continue;
        const swap = i === 0 ? number % 2 === 1 : i % 2 === 1;
        pairs.push(swap ? [other, one] : [one, other]);
    }
    return pairs;
}

function turned([home, away]: Pairing): Pairing {
    return [away, home];
}

/** How often each team plays at home, in the order in which the teams come up. */
export function homeGames(rounds: readonly Pairing[][]): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [home, away] of rounds.flat()) {
        counts.set(home, (counts.get(home) ?? 0) + 1);
        counts.set(away, counts.get(away) ?? 0);
    }
    return counts;
}

/**
 * The next Swiss round: from the top of the table each team meets the next one that it has not met. The last team that has
 * had no bye is idle if the number is odd. Undefined where no such round is left.
 */
export function swissRound(teams: readonly string[], games: readonly Game[], byes: readonly string[] = []): Pairing[] | undefined {
    const ranked = standings(teams, games).map((row) => row.team);
    if (ranked.length % 2 === 0) return pairDown(ranked, games);
    for (const idle of [...ranked].reverse().filter((team) => !byes.includes(team))) {
        const pairs = pairDown(ranked.filter((team) => team !== idle), games);
        if (pairs !== undefined) return pairs;
    }
    return undefined;
}

function pairDown(ranked: readonly string[], games: readonly Game[]): Pairing[] | undefined {
    if (ranked.length === 0) return [];
    const [first, ...others] = ranked;
    for (const other of others) {
        if (met(first, other, games)) continue;
        const rest = pairDown(others.filter((team) => team !== other), games);
        if (rest !== undefined) return [[first, other], ...rest];
    }
    return undefined;
}

function met(one: string, other: string, games: readonly Game[]): boolean {
    return games.some(({ home, away }) => (home === one && away === other) || (home === other && away === one));
}
