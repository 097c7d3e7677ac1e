<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Workdays\Day;
use Workdays\Holidays;
use Workdays\WorkCalendar;

final class MoreWorkCalendarTest extends TestCase
{
    private WorkCalendar $calendar;

    protected function setUp(): void
    {
        $this->calendar = new WorkCalendar((new Holidays())->fixed('A', 12, 25)->fixed('B', 12, 26)->fixed('N', 1, 1));
    }

    private function added(string $day, int $count): string
    {
        return (string) $this->calendar->add(Day::parse($day), $count);
    }

    public function testAddZeroGoesToAWorkday(): void
    {
        $this->assertSame('2024-12-27', $this->added('2024-12-25', 0));
        $this->assertSame('2024-12-24', $this->added('2024-12-24', 0));
    }

    public function testAddFromAFreeDay(): void
    {
        $this->assertSame('2024-12-27', $this->added('2024-12-25', 1));
        $this->assertSame('2024-12-24', $this->added('2024-12-26', -1));
        $this->assertSame('2024-12-30', $this->added('2024-12-28', 1));
    }

    public function testAddOverYears(): void
    {
        $this->assertSame('2025-01-02', $this->added('2024-12-31', 1));
        $this->assertSame('2024-12-31', $this->added('2025-01-02', -1));
        $this->assertSame('2025-12-23', $this->added('2024-12-23', 258));
    }

    public function testAddAndComeBack(): void
    {
        foreach ([1, 2, 5, 7, 30] as $count) {
            $this->assertSame('2024-12-20', $this->added($this->added('2024-12-20', $count), -$count));
        }
    }

    public function testCountIsHalfOpen(): void
    {
        $monday = new Day(2024, 12, 16);
        $this->assertSame(0, $this->calendar->count($monday, $monday));
        $this->assertSame(1, $this->calendar->count($monday, new Day(2024, 12, 17)));
        $this->assertSame(5, $this->calendar->count($monday, new Day(2024, 12, 23)));
        $this->assertSame(5, $this->calendar->count($monday, new Day(2024, 12, 22)));
    }

    public function testCountBackwardsIsNegative(): void
    {
        $this->assertSame(-5, $this->calendar->count(new Day(2024, 12, 23), new Day(2024, 12, 16)));
    }

    public function testCountOfAYear(): void
    {
        $this->assertSame(259, $this->calendar->count(new Day(2024, 1, 1), new Day(2025, 1, 1)));
    }

    public function testCountAgreesWithAdd(): void
    {
        $start = new Day(2024, 12, 2);
        foreach ([1, 10, 20, 40] as $count) {
            $this->assertSame($count, $this->calendar->count($start, $this->calendar->add($start, $count)));
        }
    }

    public function testNearest(): void
    {
        $this->assertSame('2024-12-13', (string) $this->calendar->nearest(new Day(2024, 12, 14)));
        $this->assertSame('2024-12-16', (string) $this->calendar->nearest(new Day(2024, 12, 15)));
        $this->assertSame('2024-12-12', (string) $this->calendar->nearest(new Day(2024, 12, 12)));
    }

    public function testNearestTakesTheLaterOfTwo(): void
    {
        $calendar = (new WorkCalendar(new Holidays()))->close(new Day(2024, 12, 11));
        $this->assertSame('2024-12-12', (string) $calendar->nearest(new Day(2024, 12, 11)));
    }

    public function testOtherWeekends(): void
    {
        $calendar = new WorkCalendar(new Holidays(), [5]);
        $this->assertFalse($calendar->isWorkday(new Day(2024, 5, 3)));
        $this->assertTrue($calendar->isWorkday(new Day(2024, 5, 4)));
        $this->assertTrue((new WorkCalendar(new Holidays(), []))->isWorkday(new Day(2024, 5, 5)));
    }

    public function testAWeekNeedsAWorkday(): void
    {
        $this->expectException(InvalidArgumentException::class);
        new WorkCalendar(new Holidays(), [1, 2, 3, 4, 5, 6, 7]);
    }

    public function testOpenedHolidaysAreWorked(): void
    {
        $day = new Day(2024, 12, 25);
        $this->assertTrue($this->calendar->open($day)->isWorkday($day));
        $this->assertFalse($this->calendar->close($day)->isWorkday($day));
    }

    public function testAYearWithoutWorkIsReported(): void
    {
        $calendar = new WorkCalendar(new Holidays());
        for ($day = new Day(2024, 1, 1); $day->year < 2026; $day = $day->plus(1)) {
            $calendar->close($day);
        }
        $this->expectException(OutOfRangeException::class);
        $calendar->next(new Day(2024, 1, 1));
    }

    public function testMonths(): void
    {
        $this->assertSame('2024-12-02', (string) $this->calendar->nthOfMonth(2024, 12, 1));
        $this->assertSame('2024-12-27', (string) $this->calendar->nthOfMonth(2024, 12, 18));
        $this->assertSame('2024-12-30', (string) $this->calendar->nthOfMonth(2024, 12, -2));
        $this->assertSame('2024-12-02', (string) $this->calendar->nthOfMonth(2024, 12, -20));
        $this->assertNull($this->calendar->nthOfMonth(2024, 12, 21));
        $this->assertNull($this->calendar->nthOfMonth(2024, 12, -21));
        $this->assertNull($this->calendar->nthOfMonth(2024, 12, 0));
    }

    public function testBreaksReachTheEdgesOfTheYear(): void
    {
        $calendar = new WorkCalendar((new Holidays())->fixed('N', 1, 1)->fixed('S', 12, 31));
        $breaks = array_map(static fn (array $b): string => "$b[0]..$b[1]", $calendar->breaks(2022, 3));
        $this->assertSame([], $breaks);
        $breaks = array_map(static fn (array $b): string => "$b[0]..$b[1]", $calendar->breaks(2023, 2));
        $this->assertCount(52, $breaks);
        $this->assertSame('2023-12-30..2023-12-31', end($breaks));
        $this->assertSame('2023-01-07..2023-01-08', $breaks[0]);
        $this->assertSame('2022-01-01..2022-01-02', implode('..', $calendar->breaks(2022, 2)[0]));
    }

    public function testBreaksOfOneDay(): void
    {
        $calendar = new WorkCalendar((new Holidays())->fixed('W', 5, 1), [7]);
        $breaks = array_map(static fn (array $b): string => "$b[0]..$b[1]", $calendar->breaks(2024, 1));
        $this->assertCount(53, $breaks);
        $this->assertContains('2024-05-01..2024-05-01', $breaks);
        $this->assertSame([], $calendar->breaks(2024, 2));
    }
}
