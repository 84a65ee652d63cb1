"""The sub-commands of `experiments`: experiment review and evaluate, promote, up, simulate."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, cast

import typer

from features.cli import Home
from features.errors import InvalidInput


def commands(app: typer.Typer) -> None:
    """Registers them on `app`."""
    experiment = typer.Typer(
        help="Reviews of experiments, and logs of decisions valued under other policies.", no_args_is_help=True
    )

    @experiment.callback()
    def group() -> None:
        """Reviews of experiments, and logs of decisions valued under other policies."""

    @experiment.command()
    def review(
        name: Annotated[str, typer.Argument(help="The experiment: holdout.")],
        home: Home = None,
        window_days: Annotated[
            float | None, typer.Option(help="Count only so many days from a customer's first decision.", min=0.0)
        ] = None,
    ) -> None:
        """Compare the holdout with everyone else: effect, interval, verdict, and a page to pass on."""
        from experiments.review_cli import print_review

        print_review(name, home, window_days)

    experiment.command()(evaluate)
    experiment.command()(study)
    app.add_typer(experiment, name="experiment")
    app.command()(promote)
    app.command()(up)
    app.command()(simulate)


def evaluate(
    log: Annotated[str, typer.Argument(help="A Parquet, CSV or JSON lines file of logged decisions, or: ledger.")],
    target: Annotated[
        list[str],
        typer.Option(
            help="A policy to value: uniform, constants, constant:ARM, column:PREFIX (of a file), or, of the ledger, "
            "a policy such as thompson or epsilon-greedy-0.1. Repeat for more."
        ),
    ],
    home: Home = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="What a column of the file is called, as WHAT=COLUMN; WHAT is arm, action_probability, reward, "
            "customer, decision, decided_at, place, or how names begin: context (x_), allowed (allowed_), "
            "logging (logged_)."
        ),
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="A column the reward model may use. Repeat for more; else all x_ columns.")
    ] = None,
    reward: Annotated[str, typer.Option(help="Of the ledger: value (money less contact cost) or response.")] = "value",
    model: Annotated[bool, typer.Option(help="Fit reward models; without, only estimators that need none.")] = True,
    delimiter: Annotated[
        str | None, typer.Option(help="What separates the cells of a CSV file, such as ';'; found out when left out.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every estimator of every target.")] = False,
) -> None:
    """Value policies that never ran from the log of one that did, or say that the log cannot tell."""
    from experiments.evaluate_cli import Question, print_evaluation

    print_evaluation(
        Question(log, target, home, column or (), context or (), reward, model, _one_sign(delimiter), everything)
    )


def _one_sign(delimiter: str | None) -> str | None:
    """A tab may be written as `tab` or `\\t`, which shells pass on as they are."""
    found = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if found is not None and (len(found) != 1 or found in '"\r\n'):
        raise InvalidInput(f"--delimiter {delimiter!r}: one sign, such as ';' or tab", field="delimiter")
    return found


def study(
    name: Annotated[str, typer.Argument(help="A study file, or the name of a shipped one: hillstrom, starbucks.")],
    home: Home = None,
    seed: Annotated[int, typer.Option(help="Which customers fall into which of the five folds.", min=0)] = 0,
) -> None:
    """Ask imported decisions which policy would have earned most: every constant one, and those learned from them."""
    from experiments.studies.command import print_study

    print_study(name, home, seed)


def promote(
    bundle_id: Annotated[
        str | None,
        typer.Argument(help="A bundle. Left out: the newest, or with --policy or --catalogue the champion's."),
    ] = None,
    home: Home = None,
    policy: Annotated[
        str | None, typer.Option(help="Try another policy with it, such as thompson or epsilon-greedy-0.05,floor-0.01.")
    ] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option(help="Try another catalogue with it (values, levers, limits): a folder of TOML files."),
    ] = None,
    decisions: Annotated[
        int, typer.Option(help="Compare on so many of the latest decisions at most.", min=100)
    ] = 50_000,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only judge; change nothing.")] = False,
    ramp: Annotated[
        bool,
        typer.Option("--ramp", help="What passes is tried in the shadow and on a growing share of customers first."),
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="The strategy before this one decides again: bundle, policy, catalogue.")
    ] = False,
) -> None:
    """Compare a candidate strategy with the champion on recorded decisions; it becomes champion only if all gates pass.

    Exit status: 0 when it passes, 1 when it fails, 2 when too little is known, or nothing could be compared.
    """
    from experiments.gate.command import Asked
    from experiments.gate.command import back as undo
    from experiments.gate.command import promote as run

    if back:
        if bundle_id or policy or catalogue or dry_run or ramp:
            raise InvalidInput("--back restores what decided before and takes nothing but --home beside it")
        undo(home)
    else:
        run(home, Asked(bundle_id, policy, catalogue, decisions, dry_run, ramp))


def up(
    home: Home = None,
    once: Annotated[bool, typer.Option("--once", help="One decision and one outcome over HTTP, then stop.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of the service; refuses one that is in use.")] = None,
    customers: Annotated[int, typer.Option(help="Customers to simulate in an empty home.", min=1)] = 2_500,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds of traffic.", min=0.0)] = None,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Play simulated responses in a home of imported customers too.")
    ] = False,
) -> None:
    """Bring up the whole thing: customers, features, models, service, worker, live traffic. Ctrl-C stops it."""
    from rich.console import Console

    from experiments.up import Plan
    from experiments.up import up as run
    from features.settings import load_settings

    # A terminal of another encoding gets a question mark for what it cannot show, and never ends what runs.
    cast(TextIOWrapper, sys.stdout).reconfigure(errors="replace")
    raise typer.Exit(run(Plan(load_settings(home), customers, port, once, seconds, traffic), Console()))


def simulate(
    home: Home = None,
    customers: Annotated[int, typer.Option(help="Customers of the world that fills the home.", min=1)] = 2_500,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="Compare this policy (repeatable): segue (as set), all, epsilon-greedy, thompson, ..."),
    ] = None,
    worlds: Annotated[list[str] | None, typer.Option(help="A world to play (repeatable); without it all.")] = None,
    seeds: Annotated[int, typer.Option(help="How many worlds of each kind.", min=1)] = 20,
    decisions: Annotated[int, typer.Option(help="Decisions in each run.", min=100)] = 50_000,
    replay: Annotated[
        bool, typer.Option("--replay", help="Decide the recorded requests again, in order, with another strategy.")
    ] = False,
    catalogue: Annotated[
        Path | None, typer.Option(help="With --replay: the catalogue to try, a folder of TOML files.")
    ] = None,
    bundle: Annotated[str | None, typer.Option(help="With --replay: the bundle to try; else those of then.")] = None,
) -> None:
    """Let policies earn in worlds of known truth, or decide recorded requests again under another catalogue.

    With --policy, policies play beside rules, Vowpal Wabbit and an oracle.

    With --replay, say what another catalogue (or --bundle, or --policy) would have done with the recorded requests.
    Without either, fill an empty home with simulated customers and their past.
    """
    from features.screen import screen
    from features.settings import load_settings

    if replay:
        from experiments.change.command import simulate_replay

        simulate_replay(load_settings(home), catalogue, bundle, policy or [], screen())
        return
    if catalogue or bundle:
        raise InvalidInput("--catalogue and --bundle are tried on recorded requests: add --replay")
    if policy:
        from experiments.worlds.command import simulate_worlds

        simulate_worlds(load_settings(home), policy, worlds or [], seeds, decisions, screen())
        return
    if worlds:
        raise InvalidInput("--worlds says where policies play: add --policy all, or the policy you mean")
    from experiments.homes import fill_home
    from features.clock import now

    fill_home(load_settings(home), customers, now(), screen())
