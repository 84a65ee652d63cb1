"""A rule is bound to what its features meant when it was taken in: under another meaning it is refused by name.

A feature's meaning changes only on purpose (`segue features redefine`, which binds anew) or where HOME/features was put
together from something else. The ledger remembers what each name meant to the rules that decide.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from features.catalogue import Fault
from features.contract import FeatureContract
from features.ledger import Ledger
from serving.expressions import CompiledCatalogue

#: The note with the definition of each feature that the rules in force read.
BOUND = "rule-definitions"


def bind(ledger: Ledger, compiled: CompiledCatalogue, contract: FeatureContract | None) -> None:
    """Remembers what the features that the rules read mean now."""
    if contract is None:
        return
    known = [contract.by_name[name] for name in compiled.customer_names if name in contract.by_name]
    said = json.dumps({feature.name: feature.definition for feature in known}, sort_keys=True)
    if ledger.note(BOUND) != said:
        ledger.put_note(BOUND, said)


def unbind(ledger: Ledger, names: Collection[str]) -> None:
    """Forgets what these meant: the next catalogue that is taken in binds them to what they mean then."""
    bound = json.loads(ledger.note(BOUND) or "{}")
    ledger.put_note(BOUND, json.dumps({n: d for n, d in bound.items() if n not in names}, sort_keys=True))


def binding_faults(ledger: Ledger, compiled: CompiledCatalogue, contract: FeatureContract | None) -> list[Fault]:
    """A fault for each rule that reads a feature which means something else than when it was taken in."""
    if contract is None:
        return []
    bound = json.loads(ledger.note(BOUND) or "{}")
    changed = {n for n, d in bound.items() if n in contract.by_name and contract.by_name[n].definition != d}
    faults = []
    for action, expressions in compiled.expressions.items() if changed else ():
        values = [("value", expressions.value)] if expressions.value is not None else []
        for key, expression in [*expressions.conditions, *values]:
            faults += [
                compiled.catalogue.fault("action", action, key, _words(name, contract))
                for name in sorted(changed & {n.removeprefix("customer.") for n in expression.names})
            ]
    return faults


def _words(name: str, contract: FeatureContract) -> str:
    means = contract.by_name[name].description
    return (
        f"{name} means something else than when this was taken in: now {means}; change the rule, or say that it is "
        "meant so: `segue catalogue check --accept`"
    )
