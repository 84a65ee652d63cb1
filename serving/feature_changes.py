"""`segue features remove`, `restore` and `redefine`: what changes the meaning of rules and models, on purpose."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from features.cli import Home, group
from features.errors import InvalidInput, NotFound, SegueError

if TYPE_CHECKING:
    from features.contract import FeatureContract
    from features.settings import Settings

Names = Annotated[list[str], typer.Argument(help="Features, as `segue features list` names them.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it, though rules or models use them.")]


def commands(app: typer.Typer) -> None:
    """Adds them to the group `features` of `app`."""
    features = group(app, "features", "What is known of each customer, as numbers: declared, computed, put online.")

    @features.command()
    def remove(names: Names, home: Home = None, yes: Yes = False) -> None:
        """Takes features out for good. They keep their names, and do not come back by themselves."""
        from features.contract import FeatureContract
        from features.settings import load_settings

        settings = load_settings(home)
        contract = _contract(settings)
        _require(names, contract.by_name, "no feature")
        _refuse_used(settings, names, yes, "remove")

        def without(before: FeatureContract) -> FeatureContract:
            gone = [feature for feature in before.features if feature.name in names]
            return FeatureContract(tuple(f for f in before.features if f.name not in names), (*before.removed, *gone))

        _change(settings, without, names)
        typer.echo(f"removed: {', '.join(names)}; `segue features restore` brings them back")

    @features.command()
    def restore(names: Names, home: Home = None) -> None:
        """Brings back features that were removed, with the meaning they had."""
        from features.contract import FeatureContract
        from features.settings import load_settings

        settings = load_settings(home)
        _require(names, [feature.name for feature in _contract(settings).removed], "not among the removed features:")

        def again(before: FeatureContract) -> FeatureContract:
            back = [feature for feature in before.removed if feature.name in names]
            return FeatureContract((*before.features, *back), tuple(f for f in before.removed if f.name not in names))

        _change(settings, again, ())
        typer.echo(f"restored: {', '.join(names)}")

    @features.command()
    def redefine(home: Home = None, yes: Yes = False) -> None:
        """Takes over the meaning that this version gives to features which were applied by an earlier one."""
        from features.contract import FeatureContract, redefined
        from features.settings import load_settings

        settings = load_settings(home)
        new = {feature.name: feature for feature in redefined(_contract(settings))}
        if not new:
            typer.echo("nothing to redefine: every feature means what this version means by it")
            return
        _refuse_used(settings, list(new), yes, "redefine")

        def changed(before: FeatureContract) -> FeatureContract:
            return FeatureContract(tuple(new.get(f.name, f) for f in before.features), before.removed)

        _change(settings, changed, list(new))
        typer.echo(f"redefined: {', '.join(new)}; `segue train` makes models on what they mean now")


def _contract(settings: Settings) -> FeatureContract:
    from features.refresh import open_feature_store

    return open_feature_store(settings).contract


def _require(names: Sequence[str], known: Container[str], words: str) -> None:
    for name in names:
        if name not in known:
            raise NotFound(f"{words} {name}; `segue features list` names all", field="name")


def _refuse_used(settings: Settings, names: Sequence[str], yes: bool, verb: str) -> None:
    """Says who uses them; without a yes that is all that is done."""
    used = [line for name in names for line in used_by(settings, name)]
    for line in used:
        typer.echo(line, err=True)
    if used and not yes:
        raise InvalidInput(f"nothing was changed, for they are in use; `--yes` will {verb} them all the same")


def used_by(settings: Settings, name: str) -> list[str]:
    """Which rules of the catalogue and models of the champion use a feature, a line each."""
    from features.catalogue import read_catalogue
    from serving.expressions import compile_catalogue

    compiled = compile_catalogue(read_catalogue(settings.catalogue_folder)[0], None)[0]
    found = []
    for action, expressions in compiled.expressions.items():
        values = [("value", expressions.value)] if expressions.value is not None else []
        for key, expression in [*expressions.conditions, *values]:
            if f"customer.{name}" in expression.names:
                found.append(str(compiled.catalogue.fault("action", action, key, f"uses {name}")))
    models = _models_with(settings, name)
    return [*found, *([f"the champion's {', '.join(models)} model: uses {name}"] if models else [])]


def _models_with(settings: Settings, name: str) -> list[str]:
    """The models of the champion in whose trees a feature is, or whose correction looks at it."""
    from training.bundle import champion, load_bundle

    try:
        folder = champion(settings.bundle_folder)
        bundle = None if folder is None else load_bundle(folder)
    except SegueError:
        return []  # what cannot be read decides nothing
    if bundle is None or name not in bundle.encoder.customer_features:
        return []
    place = bundle.encoder.customer_features.index(name)
    models = {model for model, scorer in bundle.scorers.items() if scorer.gains()[place] > 0.0}
    return sorted(models | ({"propensity"} if name in bundle.covariates.names else set()))


def _change(
    settings: Settings, change: Callable[[FeatureContract], FeatureContract], meant_otherwise: Sequence[str]
) -> None:
    """Changes the contract, forgets what rules meant by these names, and brings everybody's features up to date."""
    from features import clock
    from features.ledger import existing_ledger
    from features.refresh import open_feature_store, refresh_features
    from serving.binding import unbind

    with closing(existing_ledger(settings.ledger)) as ledger:
        open_feature_store(settings).change(change)
        unbind(ledger, meant_otherwise)
    refresh_features(settings, settings.ledger, clock.now())
