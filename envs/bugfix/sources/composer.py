"""What Composer would have written for a PHP project: `vendor/autoload.php`, from its composer.json."""

from __future__ import annotations

import json
from typing import Any

from .types import Tree

AUTOLOAD = "vendor/autoload.php"
_PHP = """<?php
$psr4 = json_decode(<<<'JSON'
{psr4}
JSON, true);
$psr0 = json_decode(<<<'JSON'
{psr0}
JSON, true);
spl_autoload_register(function ($class) use ($psr4, $psr0) {
    $root = dirname(__DIR__) . '/';
    foreach ($psr4 as [$prefix, $folder]) {
        if (strncmp($class, $prefix, strlen($prefix)) === 0) {
            $file = $root . $folder . '/' . str_replace('\\\\', '/', substr($class, strlen($prefix))) . '.php';
            if (is_file($file)) { require_once $file; return; }
        }
    }
    foreach ($psr0 as [$prefix, $folder]) {
        if (strncmp($class, $prefix, strlen($prefix)) === 0) {
            $file = $root . $folder . '/' . str_replace(['\\\\', '_'], '/', $class) . '.php';
            if (is_file($file)) { require_once $file; return; }
        }
    }
});
foreach (json_decode(<<<'JSON'
{files}
JSON, true) as $file) {
    require_once dirname(__DIR__) . '/' . $file;
}
"""


def autoload(tree: Tree) -> dict[str, bytes]:
    """The file by its path; nothing where the tree has one, or no composer.json that can be read."""
    if AUTOLOAD in tree:
        return {}
    try:
        about = json.loads(tree.get("composer.json", b"{}"))
    except ValueError:
        return {}
    sections = [about.get(key) for key in ("autoload", "autoload-dev")] if isinstance(about, dict) else []
    told = [section for section in sections if isinstance(section, dict)]
    files = [path for section in told for path in section.get("files", []) if path in tree]
    for section in told:
        for place in section.get("classmap", []):
            start = f"{str(place).rstrip('/')}/"
            files += [
                path for path in sorted(tree) if path.endswith(".php") and (path.startswith(start) or path == place)
            ]
    text = _PHP.replace("{psr4}", _pairs(told, "psr-4")).replace("{psr0}", _pairs(told, "psr-0"))
    return {AUTOLOAD: text.replace("{files}", json.dumps(files)).encode()}


def _pairs(sections: list[dict[str, Any]], key: str) -> str:
    """[[prefix, folder]], the longest prefix first."""
    found = []
    for section in sections:
        for prefix, folders in (section.get(key) or {}).items():
            found += [
                [prefix, str(folder).rstrip("/") or "."]
                for folder in (folders if isinstance(folders, list) else [folders])
            ]
    return json.dumps(sorted(found, key=lambda pair: (-len(pair[0]), pair)))
