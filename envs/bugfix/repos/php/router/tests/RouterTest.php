<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Router\Pattern;
use Router\Query;
use Router\RouteError;
use Router\Router;

final class RouterTest extends TestCase
{
    /** @return array<string, array{string, string, array<string, mixed>|null}> */
    public static function paths(): array
    {
        return [
            'fixed' => ['/about', '/about', []],
            'another' => ['/about', '/contact', null],
            'a value' => ['/posts/{id}', '/posts/x1', ['id' => 'x1']],
            'a number' => ['/posts/{id:int}', '/posts/17', ['id' => 17]],
            'no number' => ['/posts/{id:int}', '/posts/x', null],
            'a slug' => ['/p/{slug:slug}', '/p/a-b-2', ['slug' => 'a-b-2']],
            'optional' => ['/posts/{page?}', '/posts', []],
            'the rest' => ['/files/{path*}', '/files/a/b', ['path' => ['a', 'b']]],
            'too long' => ['/about', '/about/us', null],
            'too short' => ['/posts/{id}', '/posts', null],
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

    private static function router(): Router
    {
        return (new Router())->add('home', 'GET', '/')->add('post', 'GET', '/posts/{id:int}')->add('new', 'POST', '/posts');
    }

    public function testFindsTheRoute(): void
    {
        self::assertSame(['name' => 'post', 'values' => ['id' => 3], 'query' => []], self::router()->match('GET', '/posts/3'));
    }

    public function testReadsTheQuery(): void
    {
        self::assertSame(['a' => '1', 'b' => ['x', 'y']], self::router()->match('GET', '/?a=1&b=x&b=y')['query']);
    }

    public function testRefusesUnknownPaths(): void
    {
        $this->expectException(RouteError::class);
        $this->expectExceptionCode(404);
        self::router()->match('GET', '/nowhere');
    }

    public function testRefusesOtherMethods(): void
    {
        $this->expectExceptionCode(405);
        $this->expectExceptionMessage('only POST at /posts');
        self::router()->match('GET', '/posts');
    }

    public function testMakesLinks(): void
    {
        self::assertSame('/posts/7', self::router()->link('post', ['id' => 7]));
    }

    public function testPutsTheRestIntoTheQuery(): void
    {
        self::assertSame('/posts/7?page=2', self::router()->link('post', ['id' => 7, 'page' => 2]));
    }

    public function testNeedsValues(): void
    {
        $this->expectExceptionMessage('no value for id');
        self::router()->link('post');
    }

    public function testGroups(): void
    {
        $router = (new Router())->group('/admin', static fn (Router $r) => $r->add('users', 'GET', '/users'));
        self::assertSame('/admin/users', $router->link('users'));
    }

    public function testListsMethods(): void
    {
        self::assertSame(['GET', 'HEAD'], self::router()->methods('/'));
    }

    public function testBuildsQueries(): void
    {
        self::assertSame('a=1&b=x+y', Query::build(['b' => 'x y', 'a' => 1]));
    }

    public function testParsesQueries(): void
    {
        self::assertSame(['a' => 'x y', 'b' => ''], Query::parse('a=x+y&b'));
    }
}
