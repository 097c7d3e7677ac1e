<?php

declare(strict_types=1);

namespace Workdays;

use InvalidArgumentException;

/** A date of the Gregorian calendar, from year 1 to 9999. Immutable. */
final class Day
{
    private const LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

    /** @throws InvalidArgumentException if there is no such date */
    public function __construct(public readonly int $year, public readonly int $month, public readonly int $day)
    {
        if ($year < 1 || $year > 9999 || $month < 1 || $month > 12) {
            throw new InvalidArgumentException("no such month: $year-$month");
        }
        if ($day < 1 || $day > self::monthLength($year, $month)) {
            throw new InvalidArgumentException("no such day: $this");
        }
    }

    /**
     * The date written as year-month-day with all zeros: 2024-02-29.
     *
     * @throws InvalidArgumentException
     */
    public static function parse(string $text): self
    {
        if (preg_match('/^(\d{4})-(\d{2})-(\d{2})$/D', $text, $parts) !== 1) {
            throw new InvalidArgumentException("not a date: '$text'");
        }
        return new self((int) $parts[1], (int) $parts[2], (int) $parts[3]);
    }

    public static function isLeap(int $year): bool
    {
        return $year % 4 === 0 && ($year % 100 !== 0 || $year % 400 === 0);
    }

    /** How many days a month has. */
    public static function monthLength(int $year, int $month): int
    {
        return $month === 2 && self::isLeap($year) ? 29 : self::LENGTHS[$month - 1];
    }

    /** The date of a number as `number` gives it. */
    public static function fromNumber(int $number): self
    {
        $year = intdiv($number - 1, 366) + 1;
        while (self::daysBefore($year + 1) < $number) {
            $year++;
        }
        $rest = $number - self::daysBefore($year);
        $month = 1;
        while ($rest > self::monthLength($year, $month)) {
            $rest -= self::monthLength($year, $month);
            $month++;
        }
        return new self($year, $month, $rest);
    }

    /** Days since the last day of year 0: 0001-01-01 has number 1. */
    public function number(): int
    {
        return self::daysBefore($this->year) + $this->ofYear();
    }

    /** Which day of its year it is, from 1. */
    public function ofYear(): int
    {
        $days = $this->day;
        for ($month = 1; $month < $this->month; $month++) {
            $days += self::monthLength($this->year, $month);
        }
        return $days;
    }

    /** 1 for Monday to 7 for Sunday. */
    public function weekday(): int
    {
        return ($this->number() + 6) % 7 + 1;
    }

    /** The ISO 8601 year and week: [2021, 53] for 2021-01-03's week, that of its Thursday. */
    public function week(): array
    {
        $thursday = $this->plus(4 - $this->weekday());
        return [$thursday->year, intdiv($thursday->ofYear() - 1, 7) + 1];
    }

    /** So many days later, or earlier for a negative count. */
    public function plus(int $days): self
    {
        return self::fromNumber($this->number() + $days);
    }

    /** So many months later or earlier; the last day of the month where the day would be past it. */
    public function plusMonths(int $months): self
    {
        $count = $this->year * 12 + $this->month - 1 + $months;
        $year = intdiv($count, 12);
        $month = $count % 12 + 1;
        return new self($year, $month, min($this->day, self::monthLength($year, $month)));
    }

    /** How many days it is until another date; negative where that is earlier. */
    public function until(self $other): int
    {
        return $other->number() - $this->number();
    }

    /** Less than 0, 0 or more. */
    public function compare(self $other): int
    {
        return $this->number() <=> $other->number();
    }

    public function equals(self $other): bool
    {
        return $this->compare($other) === 0;
    }

    public function __toString(): string
    {
        return sprintf('%04d-%02d-%02d', $this->year, $this->month, $this->day);
    }

    private static function daysBefore(int $year): int
    {
        $past = $year - 1;
        return $past * 365 + intdiv($past, 4) - intdiv($past, 100) + intdiv($past, 400);
    }
}
