<?php

declare(strict_types=1);

namespace Template;

/** Splits a template into texts and tags. */
final class Scanner
{
    /**
     * The pieces of a template as [kind, content, line]: kind is 'text', or '{', '#', '/', '!', 'else' or '' for tags.
     * A line that holds nothing but one section tag or comment leaves nothing behind, not even its line end.
     *
     * @return list<array{string, string, int}>
     * @throws TemplateError for a tag without end
     */
    public static function scan(string $source): array
    {
        $pieces = [];
        $at = 0;
        while (($open = strpos($source, '{{', $at)) !== false) {
            [$kind, $content, $end] = self::tag($source, $open);
            $start = $open;
            if ($kind !== '' && $kind !== '{') {
                [$start, $end] = self::wholeLine($source, $start, $end, $at);
            }
            self::text($pieces, $source, $at, $start);
            $pieces[] = [$kind, $content, self::line($source, $open)];
            $at = $end;
        }
        self::text($pieces, $source, $at, strlen($source));
        return $pieces;
    }

    /** @return array{string, string, int} kind, content and the offset after the tag */
    private static function tag(string $source, int $open): array
    {
        $raw = substr($source, $open, 3) === '{{{';
        $closing = $raw ? '}}}' : '}}';
        $from = $open + strlen($closing);
        $close = strpos($source, $closing, $from);
        if ($close === false) {
            throw new TemplateError('a tag without end in line ' . self::line($source, $open));
        }
        $content = trim(substr($source, $from, $close - $from));
        $end = $close + strlen($closing);
        if ($raw) {
            return ['{', $content, $end];
        }
        if ($content === 'else') {
            return ['else', '', $end];
        }
        $kind = $content !== '' && str_contains('#/!', $content[0]) ? $content[0] : '';
        return [$kind, trim(substr($content, strlen($kind))), $end];
    }

    /** Widen a tag to its whole line where nothing else is on it; `$least` is where the text before begins. */
    private static function wholeLine(string $source, int $start, int $end, int $least): array
    {
        $first = $start;
        while ($first > $least && str_contains(" \t", $source[$first - 1])) {
            $first--;
        }
        $last = $end + strspn($source, " \t\r", $end);
        $begins = $first === 0 || $source[$first - 1] === "\n";
        $ends = $last === strlen($source) || $source[$last] === "\n";
        return $begins && $ends ? [$first, min($last + 1, strlen($source))] : [$start, $end];
    }

    private static function text(array &$pieces, string $source, int $from, int $to): void
    {
        if ($from < $to) {
            $pieces[] = ['text', substr($source, $from, $to - $from), self::line($source, $from)];
        }
    }

    private static function line(string $source, int $offset): int
    {
        return substr_count($source, "\n", 0, $offset) + 1;
    }
}
