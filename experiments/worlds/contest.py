"""The contest: every player in every world for every seed, each run kept in a file, so that a contest can go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.worlds.correction import CORRECTIONS, SHIPPED
from experiments.worlds.named import make_world
from experiments.worlds.play import Player, Run, play
from experiments.worlds.references import Oracle, Random, best_constant, catalogue_order
from experiments.worlds.segue_player import SeguePlayer
from experiments.worlds.vowpal import EXPLORERS, VowpalPlayer, installed
from experiments.worlds.world import BanditWorld
from features.errors import InvalidInput
from features.settings import Settings
from training.explorer import Explorer, make_explorer, named_explorer, policies
from training.policies import EpsilonGreedy

Make = Callable[[BanditWorld], Player]
#: The seed of a contest's first world; tuning was done on others, from 1,000 on.
FIRST_SEED = 1
GREEDY = "greedy"
BASELINES = ("random", "catalogue-order", "best-constant")
ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Contest:
    """What is to be played: worlds x players x seeds, each for so many decisions."""

    worlds: tuple[str, ...]
    players: tuple[str, ...]
    seeds: int
    decisions: int

    def cells(self) -> Iterator[tuple[str, int, str]]:
        """(world, seed, player): world by world, so that a table grows from the top; seeds before players."""
        for world in self.worlds:
            for seed in range(FIRST_SEED, FIRST_SEED + self.seeds):
                for player in self.players:
                    yield world, seed, player


def roster(asked: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """The players of a contest: those asked for (`all`: every policy of the product), and every reference there is."""
    segue = [*policies(settings)] if "all" in asked else [name for name in asked if name not in EXPLORERS]
    for name in segue:
        policy, _, correction = name.partition("+")
        explorer_of(policy, settings)
        if correction and correction not in CORRECTIONS:
            raise InvalidInput(f"{name!r}: after + one of {', '.join(CORRECTIONS)}", field="policy")
    wabbits = [*EXPLORERS] if installed() else []
    return tuple(dict.fromkeys((*segue, GREEDY, *BASELINES, *wabbits, ORACLE)))


def explorer_of(name: str, settings: Settings) -> Explorer:
    """The explorer of `segue` (as set), `greedy`, a policy's plain name with the set numbers, or `Explorer.name`.

    Raises InvalidInput for anything else.
    """
    if name == "segue":
        return make_explorer(settings)
    if name == GREEDY:
        return Explorer(EpsilonGreedy(0.0))
    known = policies(settings)
    if name in known:
        return Explorer(known[name])
    try:
        return named_explorer(name)
    except InvalidInput as error:
        choices = ", ".join(("segue", GREEDY, *known, "all"))
        raise InvalidInput(f"unknown policy {name!r}; one of {choices}, or as squarecb-1000,floor-0.01") from error


def maker(name: str, decisions: int, settings: Settings) -> Make:
    """How a player is made for a world."""
    plain: Mapping[str, Make] = {
        "random": lambda _world: Random(),
        "catalogue-order": catalogue_order,
        "best-constant": lambda world: best_constant(world, decisions),
        ORACLE: lambda _world: Oracle(),
    }
    if name in plain:
        return plain[name]
    if name in EXPLORERS:
        return lambda world: VowpalPlayer(world, name, EXPLORERS[name])
    policy, _, correction = name.partition("+")
    explorer, make = explorer_of(policy, settings), CORRECTIONS[correction or SHIPPED]
    return lambda world: SeguePlayer(world, name, explorer, make)


def hold(contest: Contest, settings: Settings, file: Path | None, told: Callable[[float, str], None]) -> list[Run]:
    """Every run of the contest; those already in `file` (a JSON line each) are not played again.

    `told` hears the share done and what is being played.
    """
    known = {_key(run): run for run in read_runs(file)} if file is not None else {}
    cells, runs = list(contest.cells()), []
    for number, (world, seed, player) in enumerate(cells):
        key = (world, player, seed, contest.decisions)
        if key not in known:
            done, note = number / len(cells), f"{player} in {world}, seed {seed}"
            told(done, note)
            make = maker(player, contest.decisions, settings)
            each = 1.0 / len(cells)
            known[key] = play(
                make_world(world, seed),
                make,
                contest.decisions,
                lambda share: told(done + each * share, note),  # noqa: B023
            )
            _append(file, known[key])
        runs.append(known[key])
    return runs


def read_runs(file: Path) -> Iterable[Run]:
    """The runs in a file, none where there is no file. Raises InvalidInput for lines that are none."""
    if not file.exists():
        return
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
            code = row.pop("code")
            run = Run(**{**row, "curve": tuple(row["curve"])})
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput(f"{file}, line {number}: no run of a contest; delete the file to start anew") from error
        if code == fingerprint(run.player):
            yield run


def fingerprint(player: str) -> str:
    """A hash of the source that a player's runs depend on: of another version they are played again.

    References depend on the worlds alone, Segue on its training code too; so new learning replays only Segue.
    """
    here = Path(__file__).parent
    files = [here / f"{name}.py" for name in ("world", "responses", "named", "contacts", "play", "references")]
    if player in EXPLORERS:
        files.append(here / "vowpal.py")
    elif player not in (*BASELINES, ORACLE):
        training = here.parent.parent / "training"
        files += [here / f"{name}.py" for name in ("own_log", "segue_player", "correction")]
        files += sorted(training / f"{name}.py" for name in _LEARNING)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


#: The modules of `training` that what Segue does in a world depends on.
_LEARNING = (
    "bandit",
    "calibration",
    "covariates",
    "explorer",
    "models",
    "policies",
    "portable",
    "residual",
    "scorer",
    "split",
    "start",
    "statistics",
    "thompson",
)


def _key(run: Run) -> tuple[str, str, int, int]:
    return run.world, run.player, run.seed, run.decisions


def _append(file: Path | None, run: Run) -> None:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as lines:
            lines.write(json.dumps({**asdict(run), "code": fingerprint(run.player)}) + "\n")
