/** A game that was played. */
export interface Game {
    home: string;
    away: string;
    score: [home: number, away: number];
}

/** A line of the table. */
export interface Row {
    team: string;
    played: number;
    won: number;
    drawn: number;
    lost: number;
    scored: number;
    conceded: number;
    points: number;
}

/** Points for a win, a draw and a loss. */
export interface Points {
    win: number;
    draw: number;
    loss: number;
}

const USUAL: Points = { win: 3, draw: 1, loss: 0 };

/** What a team has to show from some games. */
export function rowOf(team: string, games: readonly Game[], points: Points = USUAL): Row {
    const row: Row = { team, played: 0, won: 0, drawn: 0, lost: 0, scored: 0, conceded: 0, points: 0 };
    for (const { home, away, score } of games) {
        if (team !== home && team !== away) continue;
        const [own, theirs] = team === home ? score : [score[1], score[0]];
        row.played += 1;
        row.scored += own;
        row.conceded += theirs;
        if (own > theirs) row.won += 1;
        else if (own === theirs) row.drawn += 1;
        else row.lost += 1;
    }
    row.points = row.won * points.win + row.drawn * points.draw + row.lost * points.loss;
    return row;
}

/** The difference of goals of a row. */
export function difference(row: Row): number {
    return row.scored - row.conceded;
}

/**
 * The table: by points, then difference, then goals scored, then points in the games among those who are still level, then
 * name. Throws RangeError for a game of an unknown team or a team against itself.
 */
export function standings(teams: readonly string[], games: readonly Game[], points: Points = USUAL): Row[] {
    for (const { home, away } of games) {
        for (const team of [home, away]) {
            if (!teams.includes(team)) throw new RangeError(`unknown team ${team}`);
        }
        if (home === away) throw new RangeError(`${home} against itself`);
    }
    const rows = teams.map((team) => rowOf(team, games, points)).sort(compare);
    return levelGroups(rows).flatMap((group) => amongThemselves(group, games, points));
}

/** The places of a table from 1; rows that `compare` cannot tell apart share one, and the next place is left out. */
export function places(rows: readonly Row[]): number[] {
    const result: number[] = [];
    rows.forEach((row, i) => result.push(i > 0 && compare(rows[i - 1], row) === 0 ? result[i - 1] : i + 1));
    return result;
}

/** Negative where `a` stands above `b` by points, difference and goals; 0 where those are equal. */
export function compare(a: Row, b: Row): number {
    return b.points - a.points || difference(b) - difference(a) || b.scored - a.scored;
}

function levelGroups(rows: readonly Row[]): Row[][] {
    const groups: Row[][] = [];
    for (const row of rows) {
        const last = groups[groups.length - 1];
        if (last !== undefined && compare(last[0], row) === 0) last.push(row);
        else groups.push([row]);
    }
    return groups;
}

function amongThemselves(group: readonly Row[], games: readonly Game[], points: Points): Row[] {
    const teams = group.map((row) => row.team);
    const inner = games.filter(({ home, away }) => teams.includes(home) && teams.includes(away));
    const earned = new Map(teams.map((team) => [team, rowOf(team, inner, points).points]));
    return [...group].sort((a, b) => earned.get(b.team)! - earned.get(a.team)! || (a.team < b.team ? -1 : 1));
}
