<?php

declare(strict_types=1);

namespace Router;

/** Query strings: "a=1&b=x&b=y", where a name that comes several times has a list. */
final class Query
{
    /** @return array<string, string|list<string>> */
    public static function parse(string $text): array
    {
        $values = [];
        foreach (explode('&', $text) as $pair) {
            if ($pair === '') {
                continue;
            }
            [$name, $value] = array_map('urldecode', [...explode('=', $pair, 2), '']);
            if (!array_key_exists($name, $values)) {
                $values[$name] = $value;
            } else {
                $values[$name] = [...(array) $values[$name], $value];
            }
        }
        return $values;
    }

    /**
     * The text for some values, in the order of their names; null is left out, true is 1 and false is 0.
     *
     * @param array<string, mixed> $values
     */
    public static function build(array $values): string
    {
        ksort($values, SORT_STRING);
        $pairs = [];
        foreach ($values as $name => $value) {
            foreach (is_array($value) ? $value : [$value] as $one) {
                if ($one !== null) {
                    $pairs[] = urlencode((string) $name) . '=' . urlencode(is_bool($one) ? (string) (int) $one : (string) $one);
                }
            }
        }
        return implode('&', $pairs);
    }
}
