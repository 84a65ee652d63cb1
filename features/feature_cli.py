"""The commands `segue features apply`, `list`, `build` and `materialise`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from features.cli import Home, group

if TYPE_CHECKING:
    from features.contract import Feature, FeatureContract

AsOf = Annotated[str, typer.Option("--as-of", help="The moment of the snapshot, ISO 8601; now when left out.")]


def commands(app: typer.Typer) -> None:
    """Registers them on `app`."""
    features = group(app, "features", "What is known of each customer, as numbers: declared, computed, put online.")

    @features.command()
    def apply(home: Home = None) -> None:
        """Adds the features of the catalogue and the customers at hand to those there are, and lists them all.

        A feature that is there keeps its name and meaning, whatever else comes.
        """
        from features import refresh
        from features.settings import load_settings

        settings = load_settings(home)
        with _bar() as told:
            told("reading the ledger", 0, 1)
            with refresh.open_known_history(settings.ledger) as history:
                store = refresh.open_feature_store(settings, new=True)
                changed = refresh.apply_features(settings, store, history)
                notes = refresh.what_does_not_fit(store.contract, history)
        _list(store.contract.features, f"{_title(store.contract)}{'' if changed else ' (unchanged)'}")
        _say([*notes, *_defined_otherwise(store.contract)])

    @features.command(name="list")
    def list_(home: Home = None) -> None:
        """Lists every feature by the name that rules call it (after `customer.`), with what it means."""
        from features.refresh import open_feature_store
        from features.settings import load_settings

        contract = open_feature_store(load_settings(home)).contract
        _list(contract.features, _title(contract))
        _say(_defined_otherwise(contract))

    @features.command()
    def build(home: Home = None, as_of: AsOf = "") -> None:
        """Computes every customer's features at one moment into the offline store."""
        from features import clock, refresh
        from features.ledger import existing_ledger
        from features.settings import load_settings

        settings = load_settings(home)
        now = clock.now()
        moment = _moment(as_of) if as_of else None
        store = refresh.open_feature_store(settings)
        with _bar() as told, closing(existing_ledger(settings.ledger)) as ledger:
            told("reading the ledger", 0, 2)
            positions = ledger.log_ends()
            with refresh.open_known_history(settings.ledger) as history:
                told("features of every customer", 1, 2)
                customers = refresh.build_features(store, ledger, history, positions, now, moment)
                notes = refresh.what_does_not_fit(store.contract, history)
        built = [("customers", f"{customers:,}"), ("features", str(len(store.contract.names)))]
        _table("Snapshot", ("what", "how many"), [*built, ("as of", clock.format_time(moment or now))])
        _say(notes)

    @features.command()
    def materialise(home: Home = None) -> None:
        """Puts the newest snapshot online, where decisions read it."""
        from features import clock, refresh
        from features.ledger import existing_ledger
        from features.settings import load_settings

        settings = load_settings(home)
        store = refresh.open_feature_store(settings)
        with _bar() as told, closing(existing_ledger(settings.ledger)) as ledger:
            watch = lambda done, total: told("features online", done, total)  # noqa: E731
            taken = refresh.put_online(store, ledger, watch, clock.now())
        _table("Online", ("what", "how many"), [("customers updated", f"{taken:,}")])


def _title(contract: FeatureContract) -> str:
    return f"{len(contract.names)} features, contract {contract.fingerprint}"


def _defined_otherwise(contract: FeatureContract) -> list[str]:
    from features.contract import redefined

    changed = [feature.name for feature in redefined(contract)]
    if not changed:
        return []
    return [
        f"{', '.join(changed)}: this version defines them otherwise; here they mean what they did when first applied. "
        "`segue features redefine` takes over the new meaning; train again then"
    ]


def _list(features: Sequence[Feature], title: str) -> None:
    """A table for people; a line each, with a tab, for whatever reads on."""
    from rich.console import Console

    if Console().is_terminal:
        _table(title, ("feature", "what it means"), [(feature.name, feature.description) for feature in features])
        return
    typer.echo(title)
    for feature in features:
        typer.echo(f"{feature.name}\t{' '.join(feature.description.split())}")


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}")


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
    from rich.table import Table

    from features.screen import screen

    table = Table(*heads, title=title, title_justify="left", min_width=len(title))
    for row in rows:
        table.add_row(*row)
    screen().print(table)
