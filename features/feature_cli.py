"""The commands `segue features apply`, `build` and `materialise`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer

from features.cli import Home

AsOf = Annotated[str, typer.Option("--as-of", help="The moment of the snapshot, ISO 8601; now when left out.")]


def commands(app: typer.Typer) -> None:
    """Registers them on `app`."""
    features = typer.Typer(
        help="What is known of each customer, as numbers: declared, computed, put online.", no_args_is_help=True
    )
    app.add_typer(features, name="features")

    @features.command()
    def apply(home: Home = None) -> None:
        """Declares the features of the catalogue and the customers at hand to the feature store."""
        from features import refresh
        from features.settings import load_settings

        settings = load_settings(home)
        with _bar() as told:
            told("reading the ledger", 0, 1)
            with refresh.open_known_history(settings.ledger) as history:
                store = refresh.open_feature_store(settings, new=True)
                changed = refresh.apply_features(settings, store, history)
        views = [(view, str(len(store.contract.of_view(view)))) for view in store.contract.views]
        title = f"{len(store.contract.names)} features, contract {store.contract.fingerprint}"
        _table(title if changed else f"{title} (unchanged)", ("view", "features"), views)

    @features.command()
    def build(home: Home = None, as_of: AsOf = "") -> None:
        """Computes every customer's features at one moment into the offline store."""
        from features import clock, refresh
        from features.ledger import existing_ledger
        from features.settings import load_settings

        settings = load_settings(home)
        moment = clock.now() if not as_of else _moment(as_of)
        store = refresh.open_feature_store(settings)
        with _bar() as told, closing(existing_ledger(settings.ledger)) as ledger:
            told("reading the ledger", 0, 2)
            positions = ledger.log_ends()
            with refresh.open_known_history(settings.ledger) as history:
                told("features of every customer", 1, 2)
                customers = refresh.build_features(store, ledger, history, positions, moment)
        built = [("customers", f"{customers:,}"), ("features", str(len(store.contract.names)))]
        _table("Snapshot", ("what", "how many"), [*built, ("as of", clock.format_time(moment))])

    @features.command()
    def materialise(home: Home = None) -> None:
        """Puts the newest snapshot online, where decisions read it."""
        from features import refresh
        from features.ledger import existing_ledger
        from features.settings import load_settings

        settings = load_settings(home)
        store = refresh.open_feature_store(settings)
        with _bar() as told, closing(existing_ledger(settings.ledger)) as ledger:
            taken = refresh.put_online(store, ledger, lambda done, total: told("features online", done, total))
        _table("Online", ("what", "how many"), [("customers updated", f"{taken:,}")])


def _moment(text: str) -> int:
    from features import clock
    from features.errors import InvalidInput

    try:
        return clock.parse_time(text)
    except ValueError as error:
        message = f"--as-of must be a time like 2026-01-31T00:00:00Z, not {text!r}"
        raise InvalidInput(message, field="as_of") from error


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar, told (what, done, total)."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda step, done, total: progress.update(task, description=step, completed=done, total=total)


def _table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*heads, title=title, title_justify="left", min_width=len(title))
    for row in rows:
        table.add_row(*row)
    Console().print(table)
