"""A home made ready: its catalogue, and customers to decide for, imported ones or a simulated world's."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from experiments.history import Progress, write_history
from experiments.recent import DAYS, decide_recent
from experiments.simulator import World
from experiments.steps import Steps
from features.catalogue import load_catalogue
from features.errors import Conflict
from features.home import prepare_home
from features.ledger import Ledger, open_ledger
from features.settings import Settings

#: The note of a simulated home: how its world was made, so that the next run sees the same truth.
NOTE = "simulated-world"
#: Customers that traffic is played for, at most: more would only be drawn more seldom.
_TRAFFIC_CUSTOMERS = 20_000


@dataclass(frozen=True, slots=True)
class Population:
    """Who is decided for. `simulated` says whether the customers are made up; their responses always are."""

    world: World
    customer_ids: tuple[str, ...]
    simulated: bool


def populate(settings: Settings, ledger: Ledger, size: int, now: int, progress: Progress) -> Population:
    """The home's customers; an empty home gets a simulated world of `size` with its history up to `now`.

    A history that was interrupted is written again with the moment it began with: what is there already stays.
    """
    catalogue = load_catalogue(settings.catalogue_folder)
    stored = ledger.note(NOTE)
    if stored is None and ledger.count("customers"):
        progress(1.0)
        ids = tuple(ledger.customer_ids(_TRAFFIC_CUSTOMERS))
        return Population(World(settings.seed, catalogue, 0), ids, simulated=False)
    made = json.loads(stored) if stored else {"seed": settings.seed, "size": size, "now": now, "complete": False}
    world = World(made["seed"], catalogue, made["size"])
    if not made["complete"]:
        ledger.put_note(NOTE, json.dumps(made))
        write_history(world, ledger, made["now"], lambda share: progress(0.4 * share), recent=DAYS)
        decide_recent(world, settings, ledger, made["now"], lambda share: progress(0.4 + 0.6 * share))
        ledger.put_note(NOTE, json.dumps({**made, "complete": True}))
    progress(1.0)
    return Population(world, world.customer_ids, simulated=True)


def fill_home(settings: Settings, size: int, now: int, console: Console) -> None:
    """Simulates a world into an empty home, and says what is there. Raises Conflict where customers were imported."""
    prepare_home(settings)
    ledger = open_ledger(settings.ledger)
    try:
        with Steps(console) as steps, steps.step("Customers") as told:
            population = populate(settings, ledger, size, now, lambda share: told(share, "simulating"))
        if not population.simulated:
            raise Conflict("this home holds imported customers; simulate into an empty one, with --home", field="home")
        table = Table("what", "how many")
        for name in ("customers", "events", "decisions", "outcomes"):
            table.add_row(name, f"{ledger.count(name):,}")
        console.print(table)
    finally:
        ledger.close()
