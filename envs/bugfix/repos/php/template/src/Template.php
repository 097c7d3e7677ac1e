<?php

declare(strict_types=1);

namespace Template;

/** A template that was read; it can be rendered many times. */
final class Template
{
    /** @var list<array{kind: string, content: string, yes: array, no: array}> */
    private array $nodes;
    /** @var list<array{string, string, int}> */
    private array $pieces;
    private int $position = 0;

    /** @throws TemplateError for tags without end, and sections that are not closed or closed wrongly */
    public function __construct(string $source)
    {
        $this->pieces = Scanner::scan($source);
        $this->nodes = $this->parse(null);
        if ($this->position < count($this->pieces)) {
            [$kind, $content, $line] = $this->pieces[$this->position];
            throw new TemplateError($kind === 'else' ? "else without a section in line $line" : "no section '$content' is open in line $line");
        }
    }

    /**
     * The text for these values. Names are looked up in the innermost section's item first, then outwards; what is not
     * found is nothing. Inside a section over a list, `@index` counts from 0, `@first` and `@last` are true or false.
     *
     * @throws TemplateError
     */
    public function render(array $values): string
    {
        return $this->renderNodes($this->nodes, [$values]);
    }

    /** The first names of all paths that the template asks for, sorted, each once; without `.` and those with `@`. */
    public function names(): array
    {
        $found = [];
        $visit = static function (array $nodes) use (&$visit, &$found): void {
            foreach ($nodes as $node) {
                if ($node['kind'] !== 'text') {
                    $found[] = explode('.', trim(explode('|', $node['content'])[0]))[0];
                }
                $visit($node['yes']);
                $visit($node['no']);
            }
        };
        $visit($this->nodes);
        $found = array_filter(array_unique($found), static fn (string $name): bool => $name !== '' && $name[0] !== '@');
        sort($found);
        return $found;
    }

    private function parse(?string $section): array
    {
        $nodes = [];
        for (; $this->position < count($this->pieces); $this->position++) {
            [$kind, $content, $line] = $this->pieces[$this->position];
            if ($kind === '/' || $kind === 'else') {
                return $nodes;
            }
            if ($kind === '#') {
                $nodes[] = $this->section($content, $line);
            } elseif ($kind !== '!') {
                $nodes[] = ['kind' => $kind, 'content' => $content, 'yes' => [], 'no' => []];
            }
        }
        if ($section !== null) {
            throw new TemplateError("section '$section' is not closed");
        }
        return $nodes;
    }

    private function section(string $content, int $line): array
    {
        $this->position++;
        $yes = $this->parse($content);
        $no = [];
        if ($this->pieces[$this->position][0] === 'else') {
            $this->position++;
            $no = $this->parse($content);
        }
        [$kind, $closed, $at] = $this->pieces[$this->position];
        if ($kind === 'else' || $closed !== $content) {
            throw new TemplateError("section '$content' of line $line is closed wrongly in line $at");
        }
        return ['kind' => '#', 'content' => $content, 'yes' => $yes, 'no' => $no];
    }

    private function renderNodes(array $nodes, array $scopes): string
    {
        $text = '';
        foreach ($nodes as $node) {
            $text .= match ($node['kind']) {
                'text' => $node['content'],
                '#' => $this->renderSection($node, $scopes),
                '{' => Filters::text($this->value($node['content'], $scopes)),
                default => htmlspecialchars(Filters::text($this->value($node['content'], $scopes)), ENT_QUOTES),
            };
        }
        return $text;
    }

    private function renderSection(array $node, array $scopes): string
    {
        $value = $this->value($node['content'], $scopes);
        if (!Filters::isTrue($value)) {
            return $this->renderNodes($node['no'], $scopes);
        }
        if (!is_array($value) || !array_is_list($value)) {
            return $this->renderNodes($node['yes'], [...$scopes, $value]);
        }
        $text = '';
        foreach ($value as $index => $item) {
            $position = ['@index' => $index, '@first' => $index === 0, '@last' => $index === count($value) - 1];
            $text .= $this->renderNodes($node['yes'], [...$scopes, $position, $item]);
        }
        return $text;
    }

    /** The value of a path with its filters. */
    private function value(string $content, array $scopes): mixed
    {
        $filters = array_map('trim', explode('|', $content));
        $value = $this->lookUp(array_shift($filters), $scopes);
        foreach ($filters as $filter) {
            $arguments = explode(':', $filter);
            $value = Filters::apply(array_shift($arguments), $value, $arguments);
        }
        return $value;
    }

    private function lookUp(string $path, array $scopes): mixed
    {
        if ($path === '.') {
            return end($scopes);
        }
        $names = explode('.', $path);
        for ($depth = count($scopes) - 1; $depth >= 0; $depth--) {
            if (is_array($scopes[$depth]) && array_key_exists($names[0], $scopes[$depth])) {
                $value = $scopes[$depth];
                foreach ($names as $name) {
                    $value = is_array($value) ? $value[$name] ?? null : null;
                }
                return $value;
            }
        }
        return null;
    }
}
