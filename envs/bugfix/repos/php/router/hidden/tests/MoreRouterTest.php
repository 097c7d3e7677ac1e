<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Router\Pattern;
use Router\Query;
use Router\RouteError;
use Router\Router;

final class MoreRouterTest extends TestCase
{
    /** @return array<string, array{string, string, array<string, mixed>|null}> */
    public static function paths(): array
    {
        return [
            'the root' => ['/', '/', []],
            'the root is short' => ['/', '/a', null],
            'a slash at the end' => ['/a/b', '/a/b/', []],
            'double slashes' => ['/a/b', '//a//b', []],
            'decoded text' => ['/caf é', '/caf%20%C3%A9', []],
            'a decoded value' => ['/{x}', '/a%20b', ['x' => 'a b']],
            'a slash in a value' => ['/{x}', '/a%2Fb', null],
            'zero' => ['/{n:int}', '/0', ['n' => 0]],
            'leading zeros' => ['/{n:int}', '/07', null],
            'a sign' => ['/{n:int}', '/-7', null],
            'a long number' => ['/{n:int}', '/1234567', ['n' => 1234567]],
            'a number at the start' => ['/{n:int}', '/7a', null],
            'a bad slug' => ['/{s:slug}', '/a--b', null],
            'a slug in capitals' => ['/{s:slug}', '/A', null],
            'a slug with an end' => ['/{s:slug}', '/a-', null],
            'optional and there' => ['/p/{n:int?}', '/p/3', ['n' => 3]],
            'optional and unfit' => ['/p/{n:int?}', '/p/x', null],
            'optional and longer' => ['/p/{n?}', '/p/x/y', null],
            'an empty rest' => ['/f/{p*}', '/f', ['p' => []]],
            'a rest with values' => ['/{a}/{p*}', '/1/2/3', ['a' => '1', 'p' => ['2', '3']]],
            'a rest of a kind' => ['/{p:slug*}', '/a/b', ['p' => ['a', 'b']]],
            'an unfit rest' => ['/{p:slug*}', '/a/B', null],
            'a decoded rest' => ['/{p*}', '/a%20b/c', ['p' => ['a b', 'c']]],
            'two values' => ['/{a:int}/x/{b}', '/1/x/2', ['a' => 1, 'b' => '2']],
            'another middle' => ['/{a:int}/x/{b}', '/1/y/2', null],
            'a fixed end that is missing' => ['/{a}/edit', '/1', null],
        ];
    }

    /**
     * @dataProvider paths
     * @param array<string, mixed>|null $want
     */
    public function testMatches(string $pattern, string $path, ?array $want): void
    {
        self::assertSame($want, (new Pattern($pattern))->match($path));
    }

    /** @return array<string, array{string}> */
    public static function badPatterns(): array
    {
        return [
            'kind' => ['/{a:float}'], 'twice' => ['/{a}/{a}'], 'after optional' => ['/{a?}/b'], 'after the rest' => ['/{a*}/{b}'],
            'open' => ['/{a'], 'in text' => ['/x{a}'], 'capitals' => ['/{A}'], 'empty' => ['/{}'], 'both marks' => ['/{a?*}'],
        ];
    }

    /** @dataProvider badPatterns */
    public function testRefusesPatterns(string $pattern): void
    {
        $this->expectException(RouteError::class);
        new Pattern($pattern);
    }

    /** @return array<string, array{string, array<string, mixed>, string}> */
    public static function links(): array
    {
        return [
            'the root' => ['/', [], '/'],
            'encoded' => ['/{x}', ['x' => 'a b?'], '/a%20b%3F'],
            'encoded text' => ['/a b/{x}', ['x' => 'y'], '/a%20b/y'],
            'optional' => ['/p/{n:int?}', [], '/p'],
            'optional and given' => ['/p/{n:int?}', ['n' => 0], '/p/0'],
            'only optional' => ['/{n?}', [], '/'],
            'a rest' => ['/f/{p*}', ['p' => ['a', 'b c']], '/f/a/b%20c'],
            'an empty rest' => ['/f/{p*}', ['p' => []], '/f'],
            'no rest' => ['/f/{p*}', [], '/f'],
            'a query' => ['/f', ['z' => true, 'a' => [1, 2], 'n' => null], '/f?a=1&a=2&z=1'],
            'null alone' => ['/f', ['n' => null], '/f'],
        ];
    }

    /**
     * @dataProvider links
     * @param array<string, mixed> $values
     */
    public function testLinks(string $pattern, array $values, string $want): void
    {
        self::assertSame($want, (new Router())->add('it', 'GET', $pattern)->link('it', $values));
    }

    public function testUnfitValues(): void
    {
        $this->expectExceptionMessage('x does not fit id in /{id:int}');
        (new Router())->add('it', 'GET', '/{id:int}')->link('it', ['id' => 'x']);
    }

    public function testUnknownNames(): void
    {
        $this->expectExceptionMessage('no route it');
        (new Router())->link('it');
    }

    public function testSecondNames(): void
    {
        $this->expectExceptionMessage('a second route it');
        (new Router())->add('it', 'GET', '/a')->add('it', 'GET', '/b');
    }

    /** @return array<string, array{string, string, string}> */
    public static function requests(): array
    {
        return [
            'fixed text first' => ['GET', '/posts/new', 'new'],
            'a kind first' => ['GET', '/posts/5', 'number'],
            'then anything' => ['GET', '/posts/five', 'any'],
            'then optional' => ['GET', '/posts', 'list'],
            'then the rest' => ['GET', '/posts/a/b', 'rest'],
            'by method' => ['POST', '/posts/five', 'save'],
            'small letters' => ['post', '/posts/five', 'save'],
            'head' => ['HEAD', '/posts/5', 'number'],
            'added in small letters' => ['DELETE', '/posts/x', 'drop'],
            'with a query' => ['GET', '/posts/5?x=/posts/new', 'number'],
            'with a fragment' => ['GET', '/posts/5#new?x=1', 'number'],
            'the first of two' => ['PUT', '/posts/1', 'put_one'],
        ];
    }

    private static function router(): Router
    {
        return (new Router())->group('/posts', static function (Router $r): void {
            $r->add('rest', 'GET', '/{path*}')->add('list', 'GET', '/{page?}')->add('any', 'GET', '/{id}');
            $r->add('number', 'GET', '/{id:int}')->add('new', 'GET', '/new')->add('save', 'POST', '/{id}');
            $r->add('drop', 'delete', '/{id}')->add('put_one', 'PUT', '/{id:int}')->add('put_two', 'PUT', '/{n:int}');
        });
    }

    /** @dataProvider requests */
    public function testPicks(string $method, string $url, string $want): void
    {
        self::assertSame($want, self::router()->match($method, $url)['name']);
    }

    public function testValuesAndQuery(): void
    {
        $found = self::router()->match('GET', '/posts/5?a=b%26c&d=e=f#g');
        self::assertSame([['id' => 5], ['a' => 'b&c', 'd' => 'e=f']], [$found['values'], $found['query']]);
    }

    public function testMethodsOfAPath(): void
    {
        self::assertSame(['DELETE', 'GET', 'HEAD', 'POST', 'PUT'], self::router()->methods('/posts/1'));
        self::assertSame([], self::router()->methods('/other'));
        self::assertSame(['PATCH'], (new Router())->add('a', 'PATCH', '/x')->methods('/x'));
    }

    public function testHeadNeedsGet(): void
    {
        $this->expectExceptionCode(405);
        (new Router())->add('a', 'POST', '/')->match('HEAD', '/');
    }

    public function testGroupsInGroups(): void
    {
        $router = (new Router())->group('/a', static function (Router $r): void {
            $r->group('/b', static fn (Router $inner) => $inner->add('deep', 'GET', '/c'))->add('mid', 'GET', '/d');
        })->add('top', 'GET', '/e');
        self::assertSame(['/a/b/c', '/a/d', '/e'], array_map([$router, 'link'], ['deep', 'mid', 'top']));
    }

    public function testGroupsEndWhenTheyFail(): void
    {
        $router = new Router();
        try {
            $router->group('/a', static fn () => throw new LogicException('x'));
        } catch (LogicException) {
            $router->add('it', 'GET', '/b');
        }
        self::assertSame('/b', $router->link('it'));
    }

    /** @return array<string, array{string, array<string, mixed>}> */
    public static function queries(): array
    {
        return [
            'nothing' => ['', []], 'empty pairs' => ['&a=1&&', ['a' => '1']], 'three of a name' => ['a=1&a=2&a=3', ['a' => ['1', '2', '3']]],
            'an equals sign' => ['a==', ['a' => '=']], 'a name in code' => ['a%20b=c', ['a b' => 'c']], 'no name' => ['=x', ['' => 'x']],
            'empty and again' => ['a&a=1', ['a' => ['', '1']]],
        ];
    }

    /**
     * @dataProvider queries
     * @param array<string, mixed> $want
     */
    public function testQueries(string $text, array $want): void
    {
        self::assertSame($want, Query::parse($text));
    }

    public function testBuiltQueries(): void
    {
        self::assertSame('B=0&a=x%26y&b%3D=1.5', Query::build(['a' => 'x&y', 'b=' => 1.5, 'B' => false]));
        self::assertSame('a=1&a=0', Query::build(['a' => [true, null, false]]));
        self::assertSame('', Query::build([]));
    }

    public function testRanks(): void
    {
        $ranks = array_map(static fn (string $text): string => (new Pattern($text))->rank(), ['/', '/a/{b}', '/{a:int}/{b?}', '/{a:slug}/{c*}']);
        self::assertSame(['', '53', '42', '41'], $ranks);
    }
}
