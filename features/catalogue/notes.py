"""What is allowed in a catalogue and still may be a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterator

from features.catalogue.places import Fault
from features.catalogue.values import Action, Catalogue

#: What a success is worth where nothing is said.
_UNSAID = Action("", "").value


def notes(catalogue: Catalogue) -> list[Fault]:
    """Each with its place, in the order of the catalogue: nothing here keeps it from deciding."""
    return [*_without_value(catalogue), *_without_content(catalogue), *_unwritten_content(catalogue)]


def _without_value(catalogue: Catalogue) -> Iterator[Fault]:
    """Where all are worth the same the catalogue ranks by probability, which may be meant."""
    actions = catalogue.actions.values()
    if all(action.value == _UNSAID for action in actions):
        return
    for action in actions:
        if action.value == _UNSAID and not action.rewards:
            told = f"a success is worth {_UNSAID}, as where no value is written, beside actions worth other sums"
            yield catalogue.places.fault("action", action.id, "value", told)


def _unwritten_content(catalogue: Catalogue) -> Iterator[Fault]:
    """Where a home keeps content here at all, a key that is not written is most often misspelt."""
    if not catalogue.content:
        return
    for action in catalogue.actions.values():
        for treatment in action.treatments:
            if treatment.content is not None and treatment.content not in catalogue.content:
                told = f"there is no [[content]] {treatment.content!r}, as there is for others"
                yield catalogue.places.fault("action", action.id, "treatment.content", told, treatment.content)


def _without_content(catalogue: Catalogue) -> Iterator[Fault]:
    """Where no action names content, the apps know what to say by its id."""
    said = [t.content for action in catalogue.actions.values() for t in action.treatments]
    if not any(said):
        return
    for action in catalogue.actions.values():
        for treatment in action.treatments:
            if treatment.content is None:
                told = f"without content on {treatment.channel}: the answer will say null"
                yield catalogue.places.fault("action", action.id, "treatment.channel", told, treatment.channel)
