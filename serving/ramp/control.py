"""A round of `segue work` for a ramp: look, judge, and carry out: a step further, an end, or the way back."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import msgspec

from features.catalogue import load_catalogue
from features.errors import Conflict, InvalidInput, NotFound, SegueError
from features.ledger import Ledger, read_arrow
from features.settings import Settings
from serving.contender import Contender, crown, pointer_of, reigning
from serving.ramp.edits import noticed
from serving.ramp.evidence import looks
from serving.ramp.state import CHALLENGER, RAMP, SHARES, Ramp, Stage, begun, read_ramp, write_ramp
from serving.ramp.verdict import LEAST_CUSTOMERS, Rules, judged, out_of_shadow, too_few
from serving.replay import Archive, asked, make_again
from serving.shadow import Agreement, Compared, shares_of
from training.explorer import make_explorer
from training.pointer import read_pointer, write_pointer

log = logging.getLogger("segue.ramp")

#: Decisions that the shadow looks at before the first customer is tried on, the latest of those since it began.
SHADOWED = 300
#: How many there are and which are the latest, in one statement: between two more decisions are made.
_LATEST = """
SELECT position, (SELECT count(*) FROM decisions WHERE origin = 'live' AND decided_at >= {since:d}) AS made
FROM decisions WHERE origin = 'live' AND decided_at >= {since:d} ORDER BY position DESC LIMIT {limit:d}
"""


def start(settings: Settings, ledger: Ledger, contender: Contender, now: int, first_share: float = SHARES[1]) -> Ramp:
    """Puts a challenger in the shadow. The pointer first: a ramp without one tries nobody.

    Raises Conflict where another ramp is under way, InvalidInput for the champion itself and for a share that is no
    step of a ramp, and NotFound where nothing decides yet: there is nobody to be compared with.
    """
    running = read_ramp(settings.home)
    if running is not None and running.active:
        raise Conflict(f"{running.name} is under way; `segue ramp stop` ends it", code="ramp_active")
    champion = reigning(settings, ledger)
    if not contender.differences(champion):
        words = "that is the champion itself: name another bundle, a --policy or a --catalogue"
        raise InvalidInput(words, field="bundle", code="same_as_champion")
    if champion.bundle is None:
        raise NotFound("there is no champion to ramp against; `segue promote` makes the first", code="no_champion")
    assert contender.bundle is not None
    ramp = begun(contender.bundle, now, first_share)
    ramp = replace(ramp, catalogue=champion.catalogue, follows=contender.catalogue == champion.catalogue)
    write_pointer(settings.bundle_folder, pointer_of(settings, contender, catalogue=True), CHALLENGER)
    write_ramp(settings.home, ramp)
    return ramp


def warning(ledger: Ledger, ramp: Ramp) -> str | None:
    """What to beware of in a ramp just begun: too few customers for its first share. None where there is nothing."""
    enough = round(LEAST_CUSTOMERS / ramp.first_share)
    return too_few(len(ledger.customer_ids(enough)), ramp.first_share)


def stop(settings: Settings, told: str) -> Ramp | None:
    """Ends a ramp: everybody is decided for by the champion again. None where there was none."""
    try:
        ramp = read_ramp(settings.home)
    except SegueError:
        ramp = None
        (settings.home / RAMP).unlink()
    if ramp is not None and ramp.active:
        ramp = ramp.ended(Stage.ROLLED_BACK, told)
        write_ramp(settings.home, ramp)
    (settings.bundle_folder / CHALLENGER).unlink(missing_ok=True)
    return ramp


def dethroned(settings: Settings, ledger: Ledger, by: str) -> Ramp | None:
    """Ends a ramp under way after something else took over from the champion, `by` what: its challenger was compared
    with one that decides no longer. The ramp as it ended; None where none was under way."""
    try:
        ramp = read_ramp(settings.home)
    except SegueError:
        return stop(settings, by)
    if ramp is None or not ramp.active:
        return None
    if reigning(settings, ledger) != challenged(settings):
        return stop(settings, f"{by}: its challenger was compared with a champion that decides no longer")
    ended = ramp.ended(Stage.FINISHED, f"{by}: the challenger decides everything")
    write_ramp(settings.home, ended)
    (settings.bundle_folder / CHALLENGER).unlink(missing_ok=True)
    return ended


def challenged(settings: Settings) -> Contender | None:
    """The challenger that is pointed at, if any."""
    pointer = read_pointer(settings.bundle_folder, CHALLENGER)
    if pointer is None or pointer.catalogue is None:
        return None
    return Contender(pointer.bundle_id, pointer.policy or make_explorer(settings).name, pointer.catalogue)


def ramp_round(settings: Settings, ledger: Ledger, now: int) -> Ramp | None:
    """One look at the ramp, if one is active; what it comes to is written before it is returned."""
    ramp = read_ramp(settings.home)
    if ramp is None or not ramp.active:
        return None
    contender = challenged(settings)
    if contender is None:
        return stop(settings, "the challenger's pointer is gone")
    seen, contender = noticed(settings, ledger, ramp, contender)
    after = _judged(settings, ledger, seen, contender, now)
    if after == ramp:
        return ramp
    if after == seen:
        write_ramp(settings.home, after)
        return after
    log.info("ramp %s: %s, share %.0f %%: %s", ramp.name, after.stage, 100 * after.share, after.told)
    if after.stage is Stage.FINISHED:
        from training.registry import MlflowTracker  # takes 1.5 s, and only this step needs it

        crown(settings, ledger, contender, MlflowTracker(settings), catalogue=not after.follows)
    write_ramp(settings.home, after)
    if not after.active:
        (settings.bundle_folder / CHALLENGER).unlink(missing_ok=True)
    return after


def _judged(settings: Settings, ledger: Ledger, ramp: Ramp, contender: Contender, now: int) -> Ramp:
    rules = Rules.of(settings)
    if reigning(settings, ledger) == contender:
        return ramp.ended(Stage.FINISHED, "the challenger decides everything")
    if ramp.stage is Stage.SHADOW:
        return out_of_shadow(ramp, agreement(settings, ledger, contender, ramp.steps[0].since), now, rules)
    return judged(ramp, looks(ledger.url, ramp, load_catalogue(settings.catalogue_folder)), now, rules)


def agreement(settings: Settings, ledger: Ledger, contender: Contender, since: int) -> Agreement:
    """How the challenger would have decided the latest decisions since then, and how fast, beside the champion."""
    archive, found = Archive(ledger, settings.bundle_folder), Agreement()
    latest = read_arrow(ledger.url, _LATEST.format(since=since, limit=SHADOWED)).to_pylist()
    if not latest:
        return found
    found.older = latest[0]["made"] - len(latest)
    for one in ledger.live_records(latest[-1]["position"] - 1, len(latest)):
        record = msgspec.json.decode(one.record)
        if record.get("inputs") is None or record["candidates"] is None:
            found.idle += 1
            continue
        try:
            found.add(_again(archive, contender, record, found))
        except Exception as error:  # whatever a challenger stumbles over keeps it from being tried on
            found.failed, found.why = found.failed + 1, f"{type(error).__name__}: {error}"[:200]
    return found


def _again(archive: Archive, contender: Contender, record: dict[str, Any], found: Agreement) -> Compared:
    versions = record["versions"]
    request, inputs = asked(record)
    own = archive.strategy(versions["bundle"], versions["policy"], versions["catalogue"])
    number = versions["policy"].rpartition("/")[2]
    other = archive.strategy(contender.bundle, f"{contender.policy}/{number}", contender.catalogue)
    began = time.perf_counter()
    ours = make_again(record, request, inputs, own)
    between = time.perf_counter()
    theirs = make_again(record, replace(request, incumbent=None), inputs, other)
    seconds = time.perf_counter() - between
    found.champion_seconds.append(between - began)
    shares = shares_of(theirs.candidates)
    overlap = sum(min(share, shares.get(arm, 0.0)) for arm, share in shares_of(ours.candidates).items())
    return Compared(overlap, ours.arm == theirs.arm, seconds)
