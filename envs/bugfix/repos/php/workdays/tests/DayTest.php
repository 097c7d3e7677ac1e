<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Workdays\Day;

final class DayTest extends TestCase
{
    private static function day(string $text): Day
    {
        return Day::parse($text);
    }

    public function testParseAndText(): void
    {
        $this->assertSame('2024-02-29', (string) self::day('2024-02-29'));
    }

    public function testDatesThatDoNotExist(): void
    {
        $this->expectException(InvalidArgumentException::class);
        self::day('2023-02-29');
    }

    public function testTextThatIsNoDate(): void
    {
        $this->expectException(InvalidArgumentException::class);
        self::day('2023-2-9');
    }

    public function testLeapYears(): void
    {
        $this->assertSame([true, false, false, true], array_map([Day::class, 'isLeap'], [2024, 2023, 1900, 2000]));
    }

    public function testWeekdays(): void
    {
        $this->assertSame(3, self::day('2024-05-01')->weekday());
        $this->assertSame(7, self::day('2024-05-05')->weekday());
        $this->assertSame(1, self::day('2024-05-06')->weekday());
    }

    public function testNumbers(): void
    {
        $this->assertSame(1, self::day('0001-01-01')->number());
        $this->assertSame(738907, self::day('2024-01-22')->number());
    }

    public function testPlusDays(): void
    {
        $this->assertSame('2024-03-01', (string) self::day('2024-02-28')->plus(2));
        $this->assertSame('2023-12-31', (string) self::day('2024-01-01')->plus(-1));
    }

    public function testPlusMonths(): void
    {
        $this->assertSame('2024-02-29', (string) self::day('2024-01-31')->plusMonths(1));
        $this->assertSame('2023-11-15', (string) self::day('2024-01-15')->plusMonths(-2));
    }

    public function testUntil(): void
    {
        $this->assertSame(366, self::day('2024-01-01')->until(self::day('2025-01-01')));
        $this->assertSame(-1, self::day('2024-01-02')->until(self::day('2024-01-01')));
    }

    public function testWeeks(): void
    {
        $this->assertSame([2020, 53], self::day('2021-01-03')->week());
        $this->assertSame([2024, 18], self::day('2024-05-01')->week());
    }
}
