<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Workdays\Day;
use Workdays\Holidays;

final class MoreHolidaysTest extends TestCase
{
    /** @return array<int, array{string}> */
    public static function easters(): array
    {
        $dates = ['1818-03-22', '1886-04-25', '1943-04-25', '1954-04-18', '1961-04-02', '1981-04-19', '2000-04-23', '2008-03-23',
            '2011-04-24', '2019-04-21', '2038-04-25', '2049-04-18', '2076-04-19', '2099-04-12', '2100-03-28', '2285-03-22'];
        return array_map(static fn (string $date): array => [$date], array_combine($dates, $dates));
    }

    /** @dataProvider easters */
    public function testEaster(string $date): void
    {
        $this->assertSame($date, (string) Holidays::easter((int) substr($date, 0, 4)));
    }

    public function testFirstWeekdayOnTheFirst(): void
    {
        $this->assertSame('2024-05-01', (string) Holidays::nthWeekday(2024, 5, 3, 1));
        $this->assertSame('2024-05-07', (string) Holidays::nthWeekday(2024, 5, 2, 1));
        $this->assertSame('2024-05-02', (string) Holidays::nthWeekday(2024, 5, 4, 1));
    }

    public function testLastWeekdayOnTheLast(): void
    {
        $this->assertSame('2024-05-31', (string) Holidays::nthWeekday(2024, 5, 5, -1));
        $this->assertSame('2024-05-25', (string) Holidays::nthWeekday(2024, 5, 6, -1));
        $this->assertSame('2024-05-03', (string) Holidays::nthWeekday(2024, 5, 5, -5));
        $this->assertNull(Holidays::nthWeekday(2024, 5, 6, -5));
    }

    public function testFifthWeekday(): void
    {
        $this->assertSame('2024-05-31', (string) Holidays::nthWeekday(2024, 5, 5, 5));
        $this->assertNull(Holidays::nthWeekday(2024, 5, 6, 5));
    }

    public function testNumberZeroIsRefused(): void
    {
        $this->expectException(InvalidArgumentException::class);
        Holidays::nthWeekday(2024, 5, 5, 0);
    }

    public function testWeekdayZeroIsRefused(): void
    {
        $this->expectException(InvalidArgumentException::class);
        Holidays::nthWeekday(2024, 5, 0, 1);
    }

    public function testWeekdayEightIsRefused(): void
    {
        $this->expectException(InvalidArgumentException::class);
        Holidays::nthWeekday(2024, 5, 8, 1);
    }

    public function testLeapDayOnlyInLeapYears(): void
    {
        $holidays = (new Holidays())->fixed('Leap', 2, 29);
        $this->assertSame(['2024-02-29' => 'Leap'], $holidays->inYear(2024));
        $this->assertSame([], $holidays->inYear(2023));
    }

    public function testRulesHaveYears(): void
    {
        $holidays = (new Holidays())->fixed('Unity', 10, 3, 1990, 1992)->fixed('Old', 6, 17, to: 1990)->afterEaster('E', 0, 1991);
        $this->assertSame(['1989-06-17' => 'Old'], $holidays->inYear(1989));
        $this->assertSame(['1990-06-17' => 'Old', '1990-10-03' => 'Unity'], $holidays->inYear(1990));
        $this->assertSame(['1992-04-19' => 'E', '1992-10-03' => 'Unity'], $holidays->inYear(1992));
        $this->assertSame(['1993-04-11' => 'E'], $holidays->inYear(1993));
    }

    public function testOfTwoOnOneDayTheFirstNameCounts(): void
    {
        $holidays = (new Holidays())->fixed('Labour', 5, 1)->afterEaster('Ascension', 39);
        $this->assertSame(['2008-05-01' => 'Labour'], $holidays->inYear(2008));
    }

    public function testNamesAreTakenOnce(): void
    {
        $this->expectException(InvalidArgumentException::class);
        (new Holidays())->fixed('A', 1, 1)->nth('A', 2, 1, 1);
    }

    public function testRulesAddedLaterCount(): void
    {
        $holidays = (new Holidays())->fixed('A', 1, 1);
        $this->assertCount(1, $holidays->inYear(2024));
        $this->assertCount(2, $holidays->fixed('B', 1, 2)->inYear(2024));
    }

    public function testNames(): void
    {
        $holidays = (new Holidays())->fixed('A', 1, 1);
        $this->assertSame('A', $holidays->nameOf(new Day(2025, 1, 1)));
        $this->assertNull($holidays->nameOf(new Day(2025, 1, 2)));
    }

    public function testObservedOnSaturdayAndSunday(): void
    {
        $holidays = (new Holidays())->observed('A', 7, 4);
        $this->assertSame(['2020-07-06' => 'A'], $holidays->inYear(2020));
        $this->assertSame(['2021-07-05' => 'A'], $holidays->inYear(2021));
        $this->assertSame(['2025-07-04' => 'A'], $holidays->inYear(2025));
        $this->assertSame(['2022-07-04' => 'A'], $holidays->inYear(2022));
    }

    public function testObservedHolidaysDoNotMeet(): void
    {
        $holidays = (new Holidays())->observed('Boxing', 12, 26)->observed('Christmas', 12, 25);
        $this->assertSame(['2021-12-27' => 'Boxing', '2021-12-28' => 'Christmas'], $holidays->inYear(2021));
        $this->assertSame(['2022-12-26' => 'Boxing', '2022-12-27' => 'Christmas'], $holidays->inYear(2022));
        $this->assertSame(['2020-12-25' => 'Christmas', '2020-12-28' => 'Boxing'], $holidays->inYear(2020));
    }
}
