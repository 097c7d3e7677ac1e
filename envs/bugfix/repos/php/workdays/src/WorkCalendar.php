<?php

declare(strict_types=1);

namespace Workdays;

use InvalidArgumentException;
use OutOfRangeException;

/** Which days are worked: all but weekends, holidays and closed days; days that are opened are worked in any case. */
final class WorkCalendar
{
    /** @var array<string, bool> worked or not, by date */
    private array $exceptions = [];

    /**
     * @param list<int> $weekend weekdays that are free
     * @throws InvalidArgumentException if no weekday is left
     */
    public function __construct(private readonly Holidays $holidays, private readonly array $weekend = [6, 7])
    {
        if (array_diff(range(1, 7), $weekend) === []) {
            throw new InvalidArgumentException('a week needs a working day');
        }
    }

    /** Make one day free. */
    public function close(Day $day): self
    {
        $this->exceptions[(string) $day] = false;
        return $this;
    }

    /** Make one day a working day. */
    public function open(Day $day): self
    {
        $this->exceptions[(string) $day] = true;
        return $this;
    }

    public function isWorkday(Day $day): bool
    {
        return $this->exceptions[(string) $day]
            ?? (!in_array($day->weekday(), $this->weekend, true) && $this->holidays->nameOf($day) === null);
    }

    /** The first working day that is not before this one. */
    public function next(Day $day): Day
    {
        return $this->seek($day, 1);
    }

    /** The last working day that is not after this one. */
    public function previous(Day $day): Day
    {
        return $this->seek($day, -1);
    }

    /** The nearest working day, the later one of two that are as near. */
    public function nearest(Day $day): Day
    {
        $next = $this->next($day);
        $previous = $this->previous($day);
        return $previous->until($day) < $day->until($next) ? $previous : $next;
    }

    /**
     * The working day that comes so many working days after a day (before it, for a negative count). For 0 it is `next`.
     */
    public function add(Day $day, int $count): Day
    {
        if ($count === 0) {
            return $this->next($day);
        }
        $step = $count > 0 ? 1 : -1;
        for ($left = abs($count); $left > 0; $left--) {
            $day = $this->seek($day->plus($step), $step);
        }
        return $day;
    }

    /** The number of working days from a day, itself included, up to another one, not included; negative backwards. */
    public function count(Day $from, Day $to): int
    {
        if ($from->compare($to) > 0) {
            return -$this->count($to, $from);
        }
        $count = 0;
        for ($day = $from; $day->compare($to) < 0; $day = $day->plus(1)) {
            $count += $this->isWorkday($day) ? 1 : 0;
        }
        return $count;
    }

    /** The n-th working day of a month, from its end where n is negative. Null where there are not so many. */
    public function nthOfMonth(int $year, int $month, int $n): ?Day
    {
        $length = Day::monthLength($year, $month);
        $days = array_map(static fn (int $day): Day => new Day($year, $month, $day), range(1, $length));
        $worked = array_values(array_filter($days, $this->isWorkday(...)));
        $index = $n > 0 ? $n - 1 : count($worked) + $n;
        return $n === 0 ? null : $worked[$index] ?? null;
    }

    /**
     * The longest stretches of free days that lie in a year, at least `$least` days long, as [first, last], in order.
     *
     * @return list<array{Day, Day}>
     */
    public function breaks(int $year, int $least): array
    {
        $found = [];
        $start = null;
        for ($day = new Day($year, 1, 1); $day->year === $year; $day = $day->plus(1)) {
            $free = !$this->isWorkday($day);
            if ($free) {
                $start ??= $day;
            }
            if ($start !== null && (!$free || $this->isLastOf($day))) {
                $end = $free ? $day : $day->plus(-1);
                if ($start->until($end) + 1 >= $least) {
                    $found[] = [$start, $end];
                }
                $start = null;
            }
        }
        return $found;
    }

    private function isLastOf(Day $day): bool
    {
        return $day->month === 12 && $day->day === 31;
    }

    private function seek(Day $day, int $step): Day
    {
        for ($tries = 0; $tries <= 366; $tries++) {
            if ($this->isWorkday($day)) {
                return $day;
            }
            $day = $day->plus($step);
        }
        throw new OutOfRangeException("no working day within a year of $day");
    }
}
