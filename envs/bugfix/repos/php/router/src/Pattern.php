<?php

declare(strict_types=1);

namespace Router;

/** A path with parts in braces: `{name}`, `{name:kind}`, and last of all `{name?}` or `{name*}` for the whole rest. */
final class Pattern
{
    private const KINDS = ['any' => '/^[^\/]+$/', 'int' => '/^(0|[1-9]\d*)$/', 'slug' => '/^[a-z0-9]+(-[a-z0-9]+)*$/'];

    /** @var list<array{name: string, kind: string, mark: string}|string> */
    private array $parts = [];

    /** Throws RouteError for an unknown kind, a name that is used twice, or an optional part that is not the last. */
    public function __construct(public readonly string $text)
    {
        $names = [];
        $open = false;
        foreach (self::split($text) as $part) {
            if ($open) {
                throw new RouteError("something follows the optional part of $text");
            }
            if (!str_contains($part, '{')) {
                $this->parts[] = $part;
                continue;
            }
            if (!preg_match('/^\{([a-z_]+)(?::([a-z]+))?([?*]?)\}$/', $part, $found)) {
                throw new RouteError("cannot read $part in $text");
            }
            $kind = $found[2] === '' ? 'any' : $found[2];
            if (!isset(self::KINDS[$kind]) || in_array($found[1], $names, true)) {
                throw new RouteError("unknown kind or second name {$found[1]} in $text");
            }
            $names[] = $found[1];
            $open = $found[3] !== '';
            $this->parts[] = ['name' => $found[1], 'kind' => $kind, 'mark' => $found[3]];
        }
    }

    /**
     * The values of a path, decoded, numbers as int and a rest as list; null where it does not match.
     *
     * @return array<string, mixed>|null
     */
    public function match(string $path): ?array
    {
        $given = self::split($path);
        $values = [];
        foreach ($this->parts as $i => $part) {
            if (is_string($part)) {
                if (!isset($given[$i]) || rawurldecode($given[$i]) !== $part) {
                    return null;
                }
                continue;
            }
            if ($part['mark'] === '*') {
                return $this->rest($values, $part, array_slice($given, $i));
            }
            if (!isset($given[$i])) {
                return $part['mark'] === '?' ? $values : null;
            }
            $value = rawurldecode($given[$i]);
            if (!preg_match(self::KINDS[$part['kind']], $value)) {
                return null;
            }
            $values[$part['name']] = $part['kind'] === 'int' ? (int) $value : $value;
        }
        return count($given) > count($this->parts) ? null : $values;
    }

    /**
     * The path for some values; those it does not use are left in `$values`. Throws RouteError for a missing or unfit one.
     *
     * @param array<string, mixed> $values
     */
    public function path(array &$values): string
    {
        $path = '';
        foreach ($this->parts as $part) {
            if (is_string($part)) {
                $path .= '/' . rawurlencode($part);
                continue;
            }
            $name = $part['name'];
            if (!isset($values[$name])) {
                if ($part['mark'] !== '') {
                    break;
                }
                throw new RouteError("no value for $name in {$this->text}");
            }
            foreach ($part['mark'] === '*' ? $values[$name] : [$values[$name]] as $value) {
                if (!preg_match(self::KINDS[$part['kind']], (string) $value)) {
                    throw new RouteError("$value does not fit $name in {$this->text}");
                }
                $path .= '/' . rawurlencode((string) $value);
            }
            unset($values[$name]);
        }
        return $path === '' ? '/' : $path;
    }

    /** How exact the pattern is, greater first: part by part fixed text, then a kind, then anything, then what is optional. */
    public function rank(): string
    {
        $rank = '';
        foreach ($this->parts as $part) {
            if (is_string($part)) {
                $rank .= '5';
            } elseif ($part['mark'] === '') {
                $rank .= $part['kind'] === 'any' ? '3' : '4';
            } else {
                $rank .= $part['mark'] === '?' ? '2' : '1';
            }
        }
        return $rank;
    }

    /** @return list<string> */
    private static function split(string $path): array
    {
        return array_values(array_filter(explode('/', $path), static fn (string $part): bool => $part !== ''));
    }

    /**
     * @param array<string, mixed> $values
     * @param array{name: string, kind: string, mark: string} $part
     * @param list<string> $given
     * @return array<string, mixed>|null
     */
    private function rest(array $values, array $part, array $given): ?array
    {
        $decoded = array_map('rawurldecode', $given);
        foreach ($decoded as $value) {
            if (!preg_match(self::KINDS[$part['kind']], $value)) {
                return null;
            }
        }
        return [...$values, $part['name'] => $decoded];
    }
}
