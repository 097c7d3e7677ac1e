/** The least power of two that is not below `count`. */
export function bracketSize(count: number): number {
    let size = 1;
    while (size < count) size *= 2;
    return size;
}

/**
 * Seeds from 1 in the order of a bracket: the best two can meet only in the final, the best four only in the half-finals,
 * and so on. `size` is a power of two.
 */
export function seedOrder(size: number): number[] {
    let order = [1];
    while (order.length < size) {
        const sum = order.length * 2 + 1;
        order = order.flatMap((seed, i) => (i % 2 === 0 ? [seed, sum - seed] : [sum - seed, seed]));
    }
    return order;
}

/** A knockout of teams, the best first. Missing teams give byes to the best. */
export class Bracket {
    private readonly rounds: (string | null | undefined)[][];

    /** Throws RangeError for fewer than two teams. */
    constructor(readonly teams: readonly string[]) {
        if (teams.length < 2) throw new RangeError('a bracket needs two teams');
        const size = bracketSize(teams.length);
        this.rounds = [seedOrder(size).map((seed) => teams[seed - 1] ?? null)];
        for (let left = size / 2; left >= 1; left /= 2) this.rounds.push(new Array(left).fill(undefined));
        for (let slot = 0; slot < size; slot += 2) this.passBye(slot);
    }

    /** Games whose teams are both known and that were not played, the first round first. */
    open(): [string, string][] {
        const games: [string, string][] = [];
        this.rounds.slice(0, -1).forEach((round, number) => {
            for (let slot = 0; slot < round.length; slot += 2) {
                const [one, other] = [round[slot], round[slot + 1]];
                if (one && other && this.rounds[number + 1][slot / 2] === undefined) games.push([one, other]);
            }
        });
        return games;
    }

    /** A team wins its open game. Throws RangeError where it has none. */
    win(team: string): this {
        const number = this.rounds.findIndex((round, i) => this.isOpen(team, round.indexOf(team), i));
        if (number < 0) throw new RangeError(`${team} has no open game`);
        const slot = this.rounds[number].indexOf(team);
        this.rounds[number + 1][Math.floor(slot / 2)] = team;
        return this;
    }

    /** The winner of the final, if it was played. */
    get champion(): string | undefined {
        return this.rounds[this.rounds.length - 1][0] ?? undefined;
    }

    /** The round in which a team is or was out, from 1; the number of rounds plus one for the champion. */
    reached(team: string): number {
        return this.rounds.filter((round) => round.includes(team)).length;
    }

    /** The name of a round, from 1: "final", "half-final", "quarter-final", else "round of N". */
    roundName(number: number): string {
        const teams = this.rounds[number - 1].length;
        const names: Record<number, string> = { 2: 'final', 4: 'half-final', 8: 'quarter-final' };
        return names[teams] ?? `round of ${teams}`;
    }

    private isOpen(team: string, slot: number, number: number): boolean {
        if (slot < 0 || number + 1 >= this.rounds.length) return false;
        const rival = this.rounds[number][slot % 2 === 0 ? slot + 1 : slot - 1];
        return Boolean(rival) && this.rounds[number + 1][Math.floor(slot / 2)] === undefined;
    }

    private passBye(slot: number): void {
        const [one, other] = [this.rounds[0][slot], this.rounds[0][slot + 1]];
        if (one === null || other === null) this.rounds[1][slot / 2] = one ?? other;
    }
}
