"""Bug fixing in one language each, for those who want (or have the image of) no other: `bugfix-python` and so on."""

from __future__ import annotations

from typing import Any

from .environment import BugFix


class _Single(BugFix):
    def __init_subclass__(cls, language: str, **kwargs: Any) -> None:
        cls.id, cls.image = f"bugfix-{language}", language
        cls.languages = cls.images = (language,)
        super().__init_subclass__(**kwargs)


class BugFixC(_Single, language="c"):
    """Find and repair the mistakes in a C repository."""


class BugFixCpp(_Single, language="cpp"):
    """Find and repair the mistakes in a C++ repository."""


class BugFixGo(_Single, language="go"):
    """Find and repair the mistakes in a Go repository."""


class BugFixJava(_Single, language="java"):
    """Find and repair the mistakes in a Java repository."""


class BugFixJavaScript(_Single, language="javascript"):
    """Find and repair the mistakes in a JavaScript repository."""


class BugFixPhp(_Single, language="php"):
    """Find and repair the mistakes in a PHP repository."""


class BugFixPython(_Single, language="python"):
    """Find and repair the mistakes in a Python repository."""


class BugFixTypeScript(_Single, language="typescript"):
    """Find and repair the mistakes in a TypeScript repository."""
