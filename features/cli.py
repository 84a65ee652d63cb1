"""The command `segue`. Each package registers its own sub-commands as an entry point of the group `segue.commands`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from features.errors import SegueError

Home = Annotated[Path | None, typer.Option("--home", help="The folder that holds this installation's state.")]

# Nothing phones home: set before any library is imported.
QUIET = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "FEAST_USAGE": "False",
}

_PACKAGES = {"features", "training", "serving", "experiments"}


def main() -> None:
    """Runs one sub-command. An error made for people is printed without a traceback, with exit status 2."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    app = typer.Typer(
        name="segue",
        help="Next-best-action decisions: one customer, one moment, the best action and the channel to carry it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def segue() -> None:
        """Decide, learn, and show whether it helped."""

    try:
        for entry in sorted(entry_points(group="segue.commands"), key=lambda e: e.name):
            entry.load()(app)
        app()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells have it: 128 and the number of the signal
    except SegueError as error:
        print(f"segue: {error.message}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _PACKAGES:
            raise  # a fault of ours
        print(f"segue: {_needs_more(error.name)}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        # A disk that is full, a folder that is not ours: nothing a traceback explains better.
        print(f"segue: {error}", file=sys.stderr)
        sys.exit(2)


def _needs_more(module: str) -> str:
    return (
        f"this command needs {module!r}, which an installation that only serves does not have "
        "(requirements-serving.lock); `make install` installs all of requirements.lock"
    )


def commands(app: typer.Typer) -> None:
    """The sub-commands of `features`."""
    from features import feature_cli, import_cli

    import_cli.commands(app)
    feature_cli.commands(app)


def group(app: typer.Typer, name: str, about: str) -> typer.Typer:
    """The group of sub-commands of this name, made where there is none: packages further up add theirs to it."""
    for there in app.registered_groups:
        if there.name == name and there.typer_instance is not None:
            return there.typer_instance
    made = typer.Typer(help=about, no_args_is_help=True)
    app.add_typer(made, name=name)
    return made


if __name__ == "__main__":
    main()
