<?php

declare(strict_types=1);

namespace Template;

/** The filters of the language; every one takes the value and text arguments. */
final class Filters
{
    /** Apply one filter. @throws TemplateError for an unknown one */
    public static function apply(string $name, mixed $value, array $arguments): mixed
    {
        return match ($name) {
            'upper' => strtoupper(self::text($value)),
            'lower' => strtolower(self::text($value)),
            'title' => ucwords(strtolower(self::text($value))),
            'default' => self::isTrue($value) ? $value : ($arguments[0] ?? ''),
            'join' => implode($arguments[0] ?? ', ', array_map([self::class, 'text'], (array) $value)),
            'length' => is_array($value) ? count($value) : strlen(self::text($value)),
            'reverse' => is_array($value) ? array_reverse($value) : strrev(self::text($value)),
            'shorten' => self::shorten(self::text($value), (int) ($arguments[0] ?? 20)),
            'number' => number_format((float) $value, (int) ($arguments[0] ?? 0), '.', ','),
            'plural' => (float) $value === 1.0 ? ($arguments[0] ?? '') : ($arguments[1] ?? 's'),
            default => throw new TemplateError("unknown filter '$name'"),
        };
    }

    /** Whether a section is shown: not for null, false, '', 0, '0' and the empty list. */
    public static function isTrue(mixed $value): bool
    {
        return !in_array($value, [null, false, '', 0, 0.0, '0', []], true);
    }

    /** How a value is printed: true is 'true', false and null are nothing. @throws TemplateError for a list */
    public static function text(mixed $value): string
    {
        if (is_array($value)) {
            throw new TemplateError('a list cannot be printed: use join');
        }
        return is_bool($value) ? ($value ? 'true' : '') : (string) $value;
    }

    /** At most so many characters, with '...' in place of what is cut off, at a blank if there is one. */
    private static function shorten(string $text, int $most): string
    {
        if (strlen($text) <= $most) {
            return $text;
        }
        $cut = substr($text, 0, max(0, $most - 3));
        $blank = strrpos($cut, ' ');
        if ($blank !== false && $text[strlen($cut)] !== ' ') {
            $cut = substr($cut, 0, $blank);
        }
        return rtrim($cut) . '...';
    }
}
