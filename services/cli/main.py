"""The entry point `palestra`: the commands, and how errors are said (one line, a non-zero exit, no traceback)."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from ... import __version__
from . import certifying, corpus, environments, jobs, learn, machine, policy, projects, rescoring, work

USAGE, FAILED, INTERRUPTED = 2, 1, 130
_USAGE_ERROR: type[Exception] = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")

app = typer.Typer(
    name="palestra",
    help="Make tasks that can be checked, play them in sandboxes, judge, learn, browse.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
learn.register(app)
machine.register(app)
policy.register(app)
environments.register(app)
corpus.register(app)
certifying.register(app)
projects.register(app)
work.register(app)
rescoring.register(app)
jobs.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"palestra {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Make tasks that can be checked, play them in sandboxes, judge, learn, browse."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code. Errors that users cause or can mend are one line on stderr."""
    try:
        _configure_tracing()
        result = typer.main.get_command(app).main(list(arguments), prog_name="palestra", standalone_mode=False)
    except KeyboardInterrupt as stop:
        told = "interrupted: what was finished is stored, and the same command goes on with it"
        return _fail(str(stop) or told, INTERRUPTED)
    except typer.Abort:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except _USAGE_ERROR as error:
        return _usage(error)
    except Exception as error:
        return _explain(error)
    return result if isinstance(result, int) else 0


def _configure_tracing() -> None:
    if os.environ.get("OTEL_TRACES_EXPORTER"):  # else nothing is loaded for it
        from ...infra import tracing

        tracing.configure()


def main() -> None:
    """`palestra`."""
    sys.exit(run(sys.argv[1:]))


def _fail(text: str, code: int) -> int:
    print(f"palestra: {' '.join(text.split())}", file=sys.stderr)
    return code


def _usage(error: BaseException) -> int:
    message: str = getattr(error, "format_message", lambda: str(error))()
    if not message:  # `palestra` or a group alone: its help was printed
        return USAGE
    context = getattr(error, "ctx", None)
    where = f" (see `{context.command_path} --help`)" if context is not None else ""
    return _fail(f"{message}{where}", USAGE)


def _explain(error: Exception) -> int:
    """One line for what our folders raise on purpose; anything else is our mistake and shows its traceback."""
    from ...envs.errors import EnvError
    from ...infra.images.definitions import ImageError
    from ...infra.sandbox.types import SandboxError
    from ...infra.store.errors import StoreError
    from ...infra.tracing import TracingUnavailable
    from ...rollout.errors import RolloutError
    from ..errors import ServiceError

    expected: tuple[type[Exception], ...] = (
        ServiceError,
        EnvError,
        StoreError,
        TracingUnavailable,
        SandboxError,
        RolloutError,
        ImageError,
        OSError,
    )
    if "palestra.policy.errors" in sys.modules:
        expected = (*expected, sys.modules["palestra.policy.errors"].PolicyError)
    if not isinstance(error, expected):
        traceback.print_exception(error)
        return _fail(
            f"{type(error).__name__}: this is a mistake of Palestra's, please report it with the lines above", FAILED
        )
    return _fail(str(error), FAILED)


if __name__ == "__main__":
    main()
