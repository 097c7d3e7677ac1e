<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Workdays\Day;
use Workdays\Holidays;
use Workdays\WorkCalendar;

final class WorkCalendarTest extends TestCase
{
    private WorkCalendar $calendar;

    protected function setUp(): void
    {
        $holidays = (new Holidays())->fixed('Labour', 5, 1)->afterEaster('Ascension', 39)->fixed('Christmas', 12, 25);
        $this->calendar = new WorkCalendar($holidays);
    }

    public function testEaster(): void
    {
        $this->assertSame('2024-03-31', (string) Holidays::easter(2024));
        $this->assertSame('2025-04-20', (string) Holidays::easter(2025));
    }

    public function testNthWeekday(): void
    {
        $this->assertSame('2024-11-28', (string) Holidays::nthWeekday(2024, 11, 4, 4));
        $this->assertSame('2024-05-27', (string) Holidays::nthWeekday(2024, 5, 1, -1));
        $this->assertNull(Holidays::nthWeekday(2024, 5, 1, 5));
    }

    public function testHolidaysOfAYear(): void
    {
        $holidays = (new Holidays())->fixed('Christmas', 12, 25)->nth('Mothers', 5, 7, 2)->afterEaster('Friday', -2);
        $want = ['2024-03-29' => 'Friday', '2024-05-12' => 'Mothers', '2024-12-25' => 'Christmas'];
        $this->assertSame($want, $holidays->inYear(2024));
    }

    public function testObservedHolidaysMoveToMonday(): void
    {
        $holidays = (new Holidays())->observed('New Year', 1, 1);
        $this->assertSame(['2023-01-02' => 'New Year'], $holidays->inYear(2023));
        $this->assertSame(['2024-01-01' => 'New Year'], $holidays->inYear(2024));
    }

    public function testWorkdays(): void
    {
        $this->assertFalse($this->calendar->isWorkday(new Day(2024, 5, 1)));
        $this->assertTrue($this->calendar->isWorkday(new Day(2024, 5, 2)));
        $this->assertFalse($this->calendar->isWorkday(new Day(2024, 5, 4)));
        $this->assertFalse($this->calendar->isWorkday(new Day(2024, 5, 9)));
    }

    public function testNextAndPrevious(): void
    {
        $this->assertSame('2024-05-06', (string) $this->calendar->next(new Day(2024, 5, 4)));
        $this->assertSame('2024-05-03', (string) $this->calendar->previous(new Day(2024, 5, 5)));
        $this->assertSame('2024-05-03', (string) $this->calendar->next(new Day(2024, 5, 3)));
    }

    public function testAdd(): void
    {
        $this->assertSame('2024-05-03', (string) $this->calendar->add(new Day(2024, 4, 30), 2));
        $this->assertSame('2024-05-06', (string) $this->calendar->add(new Day(2024, 5, 3), 1));
        $this->assertSame('2024-04-30', (string) $this->calendar->add(new Day(2024, 5, 2), -1));
    }

    public function testCount(): void
    {
        $this->assertSame(20, $this->calendar->count(new Day(2024, 5, 3), new Day(2024, 6, 1)));
    }

    public function testExceptions(): void
    {
        $this->calendar->open(new Day(2024, 5, 4))->close(new Day(2024, 5, 6));
        $this->assertTrue($this->calendar->isWorkday(new Day(2024, 5, 4)));
        $this->assertFalse($this->calendar->isWorkday(new Day(2024, 5, 6)));
    }

    public function testNthOfMonth(): void
    {
        $this->assertSame('2024-05-02', (string) $this->calendar->nthOfMonth(2024, 5, 1));
        $this->assertSame('2024-05-31', (string) $this->calendar->nthOfMonth(2024, 5, -1));
    }

    public function testBreaks(): void
    {
        $holidays = (new Holidays())->afterEaster('Friday', -2)->afterEaster('Monday', 1);
        $breaks = (new WorkCalendar($holidays))->breaks(2024, 3);
        $this->assertSame([['2024-03-29', '2024-04-01']], array_map(static fn (array $b): array => array_map('strval', $b), $breaks));
    }
}
