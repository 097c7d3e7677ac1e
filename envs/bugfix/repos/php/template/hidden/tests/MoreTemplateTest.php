<?php

declare(strict_types=1);

require_once __DIR__ . '/../src/autoload.php';

use PHPUnit\Framework\TestCase;
use Template\Template;
use Template\TemplateError;

final class MoreTemplateTest extends TestCase
{
    /** @return array<string, array{string, array<string, mixed>, string}> */
    public static function cases(): array
    {
        return [
            'two names' => ['{{a}}{{b}}', ['a' => 1, 'b' => 2], '12'],
            'single braces' => ['{a} }} {', ['a' => 1], '{a} }} {'],
            'single quotes' => ['{{ x }}', ['x' => "it's"], 'it&#039;s'],
            'booleans and null' => ['[{{ t }}{{ f }}{{ n }}]', ['t' => true, 'f' => false, 'n' => null], '[true]'],
            'numbers' => ['{{ a }} {{ b }}', ['a' => 0, 'b' => 1.5], '0 1.5'],
            'a path past a value' => ['[{{ a.b.c }}]', ['a' => ['b' => 'text']], '[]'],
            'a path to nothing' => ['[{{ a.x }}]', ['a' => ['b' => 1], 'x' => 2], '[]'],
            'an item hides the outer name' => ['{{#xs}}{{ n }}{{/xs}}{{ n }}', ['n' => 'o', 'xs' => [['n' => 'i']]], 'io'],
            'a null hides the outer name' => ['{{#xs}}[{{ n }}]{{/xs}}', ['n' => 'o', 'xs' => [['n' => null]]], '[]'],
            'positions' => ['{{#xs}}{{ @index }}{{#@first}}!{{/@first}}{{/xs}}', ['xs' => ['a', 'b', 'c']], '0!12'],
            'the only item is first and last' => ['{{#xs}}{{#@first}}f{{/@first}}{{#@last}}l{{/@last}}{{/xs}}', ['xs' => [5]], 'fl'],
            'a map is one item' => ['{{#user}}{{ name }} {{ age }}{{/user}}', ['user' => ['name' => 'A', 'age' => 3]], 'A 3'],
            'a text is the current value' => ['{{#x}}<{{ . }}>{{/x}}', ['x' => 'hi'], '<hi>'],
            'lists in lists' => ['{{#rows}}{{#.}}{{ . }},{{/.}};{{/rows}}', ['rows' => [[1, 2], [3]]], '1,2,;3,;'],
            'inner and outer position' => ['{{#a}}{{#b}}{{ @index }}{{/b}}{{ @index }} {{/a}}', ['a' => [['b' => [7, 7]], ['b' => [7]]]], '010 01 '],
            'else of a list keeps the scope' => ['{{#o}}{{#xs}}x{{else}}{{ n }}{{/xs}}{{/o}}', ['o' => ['n' => 4, 'xs' => []]], '4'],
            'else inside else' => ['{{#a}}1{{else}}{{#b}}2{{else}}3{{/b}}{{/a}}', [], '3'],
            'zero is false' => ['{{#a}}1{{else}}2{{/a}}{{#b}}1{{else}}2{{/b}}{{#c}}1{{else}}2{{/c}}', ['a' => 0, 'b' => '0', 'c' => 0.0], '222'],
            'falsy items are still items' => ['{{#xs}}<{{ . }}>{{/xs}}', ['xs' => [0, '', null]], '<0><><>'],
            'a filtered section' => ['{{#xs|length}}some{{else}}none{{/xs|length}}', ['xs' => [1]], 'some'],
            'a reversed section' => ['{{#xs|reverse}}{{ . }}{{/xs|reverse}}', ['xs' => [1, 2, 3]], '321'],
            'lower' => ['{{ x|lower }}', ['x' => 'AbC'], 'abc'],
            'title' => ['{{ x|title }}', ['x' => 'hELLO wORLD'], 'Hello World'],
            'default for nothing' => ['{{ x|default:none }}', [], 'none'],
            'default for zero' => ['{{ x|default:7 }}', ['x' => 0], '7'],
            'default for something' => ['{{ x|default:none }}', ['x' => 'a'], 'a'],
            'default without argument' => ['[{{ x|default }}]', [], '[]'],
            'join by default' => ['{{ xs|join }}', ['xs' => ['a', true, 3]], 'a, true, 3'],
            'join one value' => ['{{ x|join:- }}', ['x' => 'a'], 'a'],
            'length of a text' => ['{{ x|length }}', ['x' => 'four'], '4'],
            'length of a list' => ['{{ x|length }}', ['x' => [1, 2]], '2'],
            'shorten what fits' => ['{{ x|shorten:11 }}', ['x' => 'hello world'], 'hello world'],
            'shorten at a blank' => ['{{ x|shorten:10 }}', ['x' => 'hello world'], 'hello...'],
            'shorten after a whole word' => ['{{ x|shorten:8 }}', ['x' => 'hello world'], 'hello...'],
            'shorten without a blank' => ['{{ x|shorten:7 }}', ['x' => 'helloworld'], 'hell...'],
            'shorten keeps the word before a blank' => ['{{ x|shorten:10 }}', ['x' => 'one two three'], 'one two...'],
            'shorten to twenty' => ['{{ x|shorten }}', ['x' => '12345678901234567890x'], '12345678901234567...'],
            'shorten to nothing' => ['{{ x|shorten:2 }}', ['x' => 'hello'], '...'],
            'numbers with groups' => ['{{ x|number:2 }} {{ x|number }}', ['x' => 1234567.891], '1,234,567.89 1,234,568'],
            'plural' => ['{{ n }} item{{ n|plural }}', ['n' => 2], '2 items'],
            'no plural for one' => ['{{ n }} item{{ n|plural }}', ['n' => 1], '1 item'],
            'plural of nothing' => ['{{ n }} item{{ n|plural }}', ['n' => 0], '0 items'],
            'plural with both forms' => ['{{ n|plural:y:ies }} {{ m|plural:y:ies }}', ['n' => 1, 'm' => '3'], 'y ies'],
            'filtered and escaped' => ['{{ xs|join:< }}', ['xs' => [1, 2]], '1&lt;2'],
            'a tag beside text keeps its line' => ["a {{#x}}\nb{{/x}}\n", ['x' => true], "a \nb\n"],
            'a comment line goes' => ["a\n{{! c }}\nb", [], "a\nb"],
            'a name line stays' => ["a\n  {{ x }}\nb", ['x' => 1], "a\n  1\nb"],
            'a raw line stays' => ["a\n  {{{ x }}}\nb", ['x' => 1], "a\n  1\nb"],
            'an else line goes' => ["{{#x}}\n1\n\t{{else}}\n2\n{{/x}}", [], "2\n"],
            'windows lines' => ["a\r\n{{#x}}\r\nb\r\n{{/x}}\r\nc", ['x' => 1], "a\r\nb\r\nc"],
            'two tags on a line stay' => ["{{#x}} {{/x}}\nc", ['x' => 1], " \nc"],
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

    /** @return array<string, array{string, string}> */
    public static function wrong(): array
    {
        return [
            'no end' => ["a\n{{ x", 'a tag without end in line 2'],
            'raw with a short end' => ['{{{ x }}', 'a tag without end in line 1'],
            'not closed' => ['{{#x}}{{else}}', "section 'x' is not closed"],
            'inner not closed' => ['{{#x}}{{#y}}{{/x}}', "section 'y' of line 1 is closed wrongly in line 1"],
            'closed wrongly' => ["{{#x}}\n\n{{/y}}", "section 'x' of line 1 is closed wrongly in line 3"],
            'not open' => ["\na {{/x}}", "no section 'x' is open in line 2"],
            'else alone' => ['{{else}}', 'else without a section in line 1'],
            'else twice' => ['{{#x}}{{else}}{{else}}{{/x}}', "section 'x' of line 1 is closed wrongly in line 1"],
        ];
    }

    /** @dataProvider wrong */
    public function testRefuses(string $source, string $message): void
    {
        $this->expectException(TemplateError::class);
        $this->expectExceptionMessage($message);
        new Template($source);
    }

    public function testUnknownFilters(): void
    {
        $this->expectExceptionMessage("unknown filter 'shout'");
        (new Template('{{ x|shout }}'))->render([]);
    }

    public function testListsCannotBeUpper(): void
    {
        $this->expectException(TemplateError::class);
        (new Template('{{ x|upper }}'))->render(['x' => [1]]);
    }

    public function testRendersAgain(): void
    {
        $template = new Template('{{#xs}}{{ . }}{{/xs}}');
        $this->assertSame('12', $template->render(['xs' => [1, 2]]));
        $this->assertSame('3', $template->render(['xs' => [3]]));
    }

    public function testNamesOnBothSides(): void
    {
        $this->assertSame(['a', 'b', 'c', 'd'], (new Template('{{#d|length}}{{ b }}{{else}}{{{ a }}}{{/d|length}}{{ c }}{{ b.x }}'))->names());
        $this->assertSame([], (new Template('text {{! a }}'))->names());
    }
}
