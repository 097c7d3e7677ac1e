<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Template\Template;
use Template\TemplateError;

final class TemplateTest extends TestCase
{
    /** @return array<string, array{string, array<string, mixed>, string}> */
    public static function cases(): array
    {
        return [
            'plain text' => ['no tags', [], 'no tags'],
            'a name' => ['Hello {{ name }}!', ['name' => 'Ada'], 'Hello Ada!'],
            'a missing name' => ['[{{ name }}]', [], '[]'],
            'escaping' => ['{{ x }}', ['x' => '<a & "b">'], '&lt;a &amp; &quot;b&quot;&gt;'],
            'raw' => ['{{{ x }}}', ['x' => '<b>'], '<b>'],
            'a path' => ['{{ a.b.c }}', ['a' => ['b' => ['c' => 7]]], '7'],
            'a comment' => ['a{{! nothing }}b', [], 'ab'],
            'a list' => ['{{#xs}}<{{ . }}>{{/xs}}', ['xs' => [1, 2, 3]], '<1><2><3>'],
            'a condition' => ['{{#ok}}yes{{else}}no{{/ok}}', ['ok' => true], 'yes'],
            'its other side' => ['{{#ok}}yes{{else}}no{{/ok}}', ['ok' => false], 'no'],
            'an empty list' => ['{{#xs}}x{{else}}none{{/xs}}', ['xs' => []], 'none'],
            'items' => ['{{#people}}{{ name }};{{/people}}', ['people' => [['name' => 'A'], ['name' => 'B']]], 'A;B;'],
            'outer names' => ['{{#xs}}{{ sep }}{{ . }}{{/xs}}', ['xs' => ['a', 'b'], 'sep' => '-'], '-a-b'],
            'the last' => ['{{#xs}}{{ . }}{{#@last}}.{{else}}, {{/@last}}{{/xs}}', ['xs' => ['a', 'b']], 'a, b.'],
            'a filter' => ['{{ name|upper }}', ['name' => 'ada'], 'ADA'],
            'filters in a row' => ['{{ name | reverse | title }}', ['name' => 'ada lov'], 'Vol Ada'],
            'an argument' => ['{{ xs|join: + }}', ['xs' => [1, 2]], '1 +2'],
            'lines of their own' => ["a\n  {{#x}}\nb\n  {{/x}}\nc\n", ['x' => true], "a\nb\nc\n"],
        ];
    }

    /**
     * @dataProvider cases
     * @param array<string, mixed> $values
     */
    public function testRenders(string $source, array $values, string $want): void
    {
        $this->assertSame($want, (new Template($source))->render($values));
    }

    public function testSectionsMustBeClosed(): void
    {
        $this->expectException(TemplateError::class);
        new Template('{{#x}}');
    }

    public function testListsAreNotPrinted(): void
    {
        $this->expectException(TemplateError::class);
        (new Template('{{ x }}'))->render(['x' => [1]]);
    }

    public function testNames(): void
    {
        $this->assertSame(['a', 'c'], (new Template('{{ c.d|upper }}{{#a}}{{ . }}{{ a }}{{ @index }}{{/a}}'))->names());
    }
}
