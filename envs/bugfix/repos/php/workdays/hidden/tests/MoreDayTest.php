<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Workdays\Day;

final class MoreDayTest extends TestCase
{
    /** @return array<string, array{string}> */
    public static function wrong(): array
    {
        return [
            'month 0' => ['2024-00-01'], 'month 13' => ['2024-13-01'], 'day 0' => ['2024-01-00'], 'day 32' => ['2024-01-32'],
            'April 31' => ['2024-04-31'], 'year 0' => ['0000-01-01'], 'century' => ['1900-02-29'], 'blank' => [' 2024-01-01'],
            'line end' => ["2024-01-01\n"], 'slashes' => ['2024/01/01'], 'short' => ['24-01-01'], 'more' => ['2024-01-011'],
        ];
    }

    /** @dataProvider wrong */
    public function testRefuses(string $text): void
    {
        $this->expectException(InvalidArgumentException::class);
        Day::parse($text);
    }

    public function testYearTenThousand(): void
    {
        $this->expectException(InvalidArgumentException::class);
        new Day(10000, 1, 1);
    }

    public function testLastYear(): void
    {
        $this->assertSame('9999-12-31', (string) Day::parse('9999-12-31'));
        $this->assertSame(3652059, Day::parse('9999-12-31')->number());
    }

    public function testMonthLengths(): void
    {
        $lengths = array_map(static fn (int $month): int => Day::monthLength(2024, $month), range(1, 12));
        $this->assertSame([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], $lengths);
        $this->assertSame(28, Day::monthLength(2023, 2));
        $this->assertSame(31, Day::monthLength(2023, 1));
    }

    public function testLeapCenturies(): void
    {
        $this->assertSame([false, true, false, true], array_map([Day::class, 'isLeap'], [2100, 2400, 2022, 2096]));
    }

    public function testNumbersComeBackOverYears(): void
    {
        foreach ([1, 59, 60, 365, 366, 1461, 36524, 36525, 146097, 146098, 730119, 738885, 739251, 3652059] as $number) {
            $this->assertSame($number, Day::fromNumber($number)->number());
        }
    }

    public function testNumbersOfKnownDays(): void
    {
        $this->assertSame('0001-12-31', (string) Day::fromNumber(365));
        $this->assertSame('0002-01-01', (string) Day::fromNumber(366));
        $this->assertSame('0004-12-31', (string) Day::fromNumber(1461));
        $this->assertSame('1970-01-01', (string) Day::fromNumber(719163));
        $this->assertSame('2000-12-31', (string) Day::fromNumber(730485));
    }

    public function testEveryDayOfALeapYear(): void
    {
        $day = new Day(2024, 1, 1);
        for ($count = 1; $count <= 366; $count++) {
            $this->assertSame($count, $day->ofYear());
            $this->assertSame(($count - 1) % 7 + 1, $day->weekday());
            $day = $day->plus(1);
        }
        $this->assertSame('2025-01-01', (string) $day);
    }

    public function testDayOfYear(): void
    {
        $this->assertSame(60, Day::parse('2023-03-01')->ofYear());
        $this->assertSame(61, Day::parse('2024-03-01')->ofYear());
        $this->assertSame(365, Day::parse('2023-12-31')->ofYear());
    }

    public function testWeeksAtTheEdges(): void
    {
        $this->assertSame([2020, 53], Day::parse('2020-12-31')->week());
        $this->assertSame([2021, 1], Day::parse('2021-01-04')->week());
        $this->assertSame([2025, 1], Day::parse('2024-12-30')->week());
        $this->assertSame([2024, 52], Day::parse('2024-12-29')->week());
        $this->assertSame([2023, 1], Day::parse('2023-01-02')->week());
        $this->assertSame([2022, 52], Day::parse('2023-01-01')->week());
    }

    public function testPlusZero(): void
    {
        $this->assertSame('2024-02-29', (string) Day::parse('2024-02-29')->plus(0));
        $this->assertSame('2024-02-29', (string) Day::parse('2024-02-29')->plusMonths(0));
    }

    public function testPlusManyDays(): void
    {
        $this->assertSame('2123-12-19', (string) Day::parse('2024-01-13')->plus(36499));
        $this->assertSame('1923-12-31', (string) Day::parse('2023-12-06')->plus(-36500));
    }

    public function testPlusMonthsOverYears(): void
    {
        $this->assertSame('2025-01-31', (string) Day::parse('2024-12-31')->plusMonths(1));
        $this->assertSame('2023-12-31', (string) Day::parse('2024-01-31')->plusMonths(-1));
        $this->assertSame('2025-02-28', (string) Day::parse('2024-02-29')->plusMonths(12));
        $this->assertSame('2024-12-05', (string) Day::parse('2023-12-05')->plusMonths(12));
        $this->assertSame('2024-04-30', (string) Day::parse('2024-03-31')->plusMonths(1));
        $this->assertSame('2021-12-15', (string) Day::parse('2024-01-15')->plusMonths(-25));
    }

    public function testComparing(): void
    {
        $day = Day::parse('2024-05-01');
        $this->assertLessThan(0, $day->compare(Day::parse('2024-05-02')));
        $this->assertGreaterThan(0, $day->compare(Day::parse('2023-12-31')));
        $this->assertTrue($day->equals(new Day(2024, 5, 1)));
        $this->assertFalse($day->equals(new Day(2024, 5, 2)));
    }
}
