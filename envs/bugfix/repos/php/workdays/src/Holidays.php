<?php

declare(strict_types=1);

namespace Workdays;

use InvalidArgumentException;

/** A set of holiday rules, each with a name; it gives the dates of a year. */
final class Holidays
{
    /** @var array<string, array{callable(int): ?Day, int, int}> rule, first and last year, by name */
    private array $rules = [];
    /** @var array<int, array<string, string>> names by date, by year */
    private array $known = [];

    /** Easter Sunday of the western churches. */
    public static function easter(int $year): Day
    {
        $golden = $year % 19;
        $century = intdiv($year, 100);
        $skipped = $century - intdiv($century, 4);
        $moon = (19 * $golden + $skipped - intdiv(8 * $century + 13, 25) + 15) % 30;
        if ($moon === 29 || ($moon === 28 && $golden > 10)) {
            $moon--;
        }
        $full = (new Day($year, 3, 21))->plus($moon);
        return $full->plus(7 - $full->weekday() % 7);
    }

    /**
     * The n-th of a weekday in a month; n from the end where it is negative (-1: the last). Null where there is none.
     *
     * @throws InvalidArgumentException for n = 0 or a weekday that is not from 1 to 7
     */
    public static function nthWeekday(int $year, int $month, int $weekday, int $n): ?Day
    {
        if ($n === 0 || $weekday < 1 || $weekday > 7) {
            throw new InvalidArgumentException("no weekday $weekday number $n");
        }
        if ($n > 0) {
            $first = new Day($year, $month, 1);
            $day = 1 + ($weekday - $first->weekday() + 7) % 7 + 7 * ($n - 1);
        } else {
            $last = new Day($year, $month, Day::monthLength($year, $month));
            $day = $last->day - ($last->weekday() - $weekday + 7) % 7 + 7 * ($n + 1);
        }
        return $day >= 1 && $day <= Day::monthLength($year, $month) ? new Day($year, $month, $day) : null;
    }

    /** The same date every year; none in years in which it does not exist (29 February). */
    public function fixed(string $name, int $month, int $day, int $from = 1, int $to = 9999): self
    {
        $rule = static fn (int $year): ?Day => $day <= Day::monthLength($year, $month) ? new Day($year, $month, $day) : null;
        return $this->rule($name, $rule, $from, $to);
    }

    /** So many days after Easter Sunday, or before it. */
    public function afterEaster(string $name, int $days, int $from = 1, int $to = 9999): self
    {
        return $this->rule($name, static fn (int $year): Day => self::easter($year)->plus($days), $from, $to);
    }

    /** The n-th of a weekday in a month, as in `nthWeekday`. */
    public function nth(string $name, int $month, int $weekday, int $n, int $from = 1, int $to = 9999): self
    {
        $rule = static fn (int $year): ?Day => self::nthWeekday($year, $month, $weekday, $n);
        return $this->rule($name, $rule, $from, $to);
    }

    /**
     * Like `fixed`; where it falls on a Saturday or Sunday, it is the next Monday instead, or the first day after that
     * which is no holiday by a rule added before (so add the later of two neighbours first).
     */
    public function observed(string $name, int $month, int $day, int $from = 1, int $to = 9999): self
    {
        $before = clone $this;
        $rule = static function (int $year) use ($before, $month, $day): Day {
            $at = new Day($year, $month, $day);
            if ($at->weekday() < 6) {
                return $at;
            }
            $at = $at->plus(8 - $at->weekday());
            while ($before->nameOf($at) !== null) {
                $at = $at->plus(1);
            }
            return $at;
        };
        return $this->rule($name, $rule, $from, $to);
    }

    /**
     * The holidays of a year: names by date (2024-12-25), in order; of several on one date the first rule's name.
     *
     * @return array<string, string>
     */
    public function inYear(int $year): array
    {
        if (!isset($this->known[$year])) {
            $found = [];
            foreach ($this->rules as $name => [$rule, $from, $to]) {
                $day = $year >= $from && $year <= $to ? $rule($year) : null;
                if ($day !== null) {
                    $found += [(string) $day => (string) $name];
                }
            }
            ksort($found);
            $this->known[$year] = $found;
        }
        return $this->known[$year];
    }

    /** The name of the holiday on a day, or null. */
    public function nameOf(Day $day): ?string
    {
        return $this->inYear($day->year)[(string) $day] ?? null;
    }

    private function rule(string $name, callable $rule, int $from, int $to): self
    {
        if (isset($this->rules[$name])) {
            throw new InvalidArgumentException("there is already a holiday '$name'");
        }
        $this->rules[$name] = [$rule, $from, $to];
        $this->known = [];
        return $this;
    }
}
