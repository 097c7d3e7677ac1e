<?php

declare(strict_types=1);

namespace Router;

/** Named routes of a site. */
final class Router
{
    /** @var array<string, array{method: string, pattern: Pattern}> */
    private array $routes = [];

    private string $prefix = '';

    /** Add a route. Throws RouteError for a name that is taken. */
    public function add(string $name, string $method, string $pattern): self
    {
        if (isset($this->routes[$name])) {
            throw new RouteError("a second route $name");
        }
        $this->routes[$name] = ['method' => strtoupper($method), 'pattern' => new Pattern($this->prefix . $pattern)];
        return $this;
    }

    /**
     * Add the routes that `$fill` adds to this router below a prefix; groups may stand in groups.
     *
     * @param callable(self): mixed $fill
     */
    public function group(string $prefix, callable $fill): self
    {
        $outer = $this->prefix;
        $this->prefix = $outer . $prefix;
        try {
            $fill($this);
        } finally {
            $this->prefix = $outer;
        }
        return $this;
    }

    /**
     * The route of a request: its name, the values of its path and of its query. Of several the most exact one, then the
     * one that was added first; HEAD is answered by GET. Throws RouteError, 405 where only other methods have the path.
     *
     * @return array{name: string, values: array<string, mixed>, query: array<string, string|list<string>>}
     */
    public function match(string $method, string $url): array
    {
        [$path, $query] = [...explode('?', explode('#', $url)[0], 2), ''];
        $wanted = strtoupper($method);
        $best = null;
        $bestRank = '';
        foreach ($this->routes as $name => $route) {
            $values = self::answers($route['method'], $wanted) ? $route['pattern']->match($path) : null;
            $rank = $route['pattern']->rank();
            if ($values !== null && ($best === null || strcmp($rank, $bestRank) > 0)) {
                $best = ['name' => (string) $name, 'values' => $values, 'query' => Query::parse($query)];
                $bestRank = $rank;
            }
        }
        return $best ?? throw $this->refusal($path);
    }

    /**
     * The methods that a path has, sorted.
     *
     * @return list<string>
     */
    public function methods(string $path): array
    {
        $methods = [];
        foreach ($this->routes as $route) {
            if ($route['pattern']->match($path) !== null) {
                $methods[$route['method']] = true;
                if ($route['method'] === 'GET') {
                    $methods['HEAD'] = true;
                }
            }
        }
        ksort($methods);
        return array_keys($methods);
    }

    /**
     * A link to a route; values that its path does not use become the query. Throws RouteError for an unknown name.
     *
     * @param array<string, mixed> $values
     */
    public function link(string $name, array $values = []): string
    {
        $route = $this->routes[$name] ?? throw new RouteError("no route $name");
        $path = $route['pattern']->path($values);
        $query = Query::build($values);
        return $query === '' ? $path : "$path?$query";
    }

    private static function answers(string $method, string $wanted): bool
    {
        return $method === $wanted || ($method === 'GET' && $wanted === 'HEAD');
    }

    private function refusal(string $path): RouteError
    {
        $methods = $this->methods($path);
        if ($methods === []) {
            return new RouteError("nothing at $path", 404);
        }
        return new RouteError("only " . implode(', ', $methods) . " at $path", 405);
    }
}
