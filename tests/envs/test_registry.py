"""Built-in and installed environments; broken plugins are named and take nobody down."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from palestra.envs import registry
from palestra.envs.errors import PluginError

GOOD = '''
from palestra.envs.environment import Environment
from palestra.envs.tools import tool
from palestra.verifiers.checks import all_of, check
class Good(Environment):
    """Good."""
    id = "good"; version = "1"
    def propose(self, rng, level): return self.task(seed=0, level=1, prompt="p")
    def solve(self, task, tools): return "x"
    def verify(self, task, answer, world): return all_of([check("x", answer == "x")])
    @tool
    def look(self) -> str:
        """Look."""
        return "x"
class Toolless(Good):
    id = "toolless"
Toolless.toolset = {}
class Other: pass
'''


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good_plugin.py").write_text(GOOD)
    (tmp_path / "raising_plugin.py").write_text("raise RuntimeError('no licence')")
    (tmp_path / "leaving_plugin.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    named = {
        "good": "good_plugin:Good",
        "raising": "raising_plugin:X",
        "leaving": "leaving_plugin:X",
        "missing": "no_such_module:X",
        "wrong": "good_plugin:Other",
        "renamed": "good_plugin:Good",
        "toolless": "good_plugin:Toolless",
    }
    points = [EntryPoint(name, target, registry.GROUP) for name, target in named.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    for module in ("good_plugin", "raising_plugin", "leaving_plugin"):
        monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.mark.usefixtures("plugins")
def test_broken_plugins_are_listed_with_their_errors_beside_working_ones() -> None:
    found = {listing.id: listing for listing in registry.list_environments()}
    working = {name for name, listing in found.items() if listing.cls}
    assert working == {*registry.BUILTIN, "good"}
    assert "no licence" in found["raising"].error
    assert "SystemExit" in found["leaving"].error
    assert "no_such_module" in found["missing"].error
    assert "not a subclass" in found["wrong"].error
    assert "make them equal" in found["renamed"].error
    assert "no tools" in found["toolless"].error


@pytest.mark.usefixtures("plugins")
def test_a_plugin_is_found_by_name() -> None:
    assert registry.environment_class("good")().propose(None, 1).prompt == "p"  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="no licence"):
        registry.environment_class("raising")
    with pytest.raises(PluginError, match=r"unknown environment 'nope'; there are: .*bugfix, .*, good"):
        registry.environment_class("nope")
