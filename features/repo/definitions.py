"""What Feast is told of Segue's features: one entity, a view for each view of the contract, one service.

Segue copies this file beside `contract.json` in HOME/features, so that `feast` commands work there; it stands alone
and imports nothing of Segue. Segue itself applies what `define` returns: there is no second definition.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.types import Float64, Int64, String
from feast.value_type import ValueType


def stamp_of(view: str) -> str:
    """The field of a view that holds its moment in whole microseconds: the stores round their own timestamps."""
    return f"{view}_as_of"


def define(contract: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The Feast objects of a contract (the content of contract.json) whose snapshots are in `folder`/offline."""
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
    snapshots = FileSource(
        name="snapshots",
        # A folder for each contract: all files that one pattern finds have the same columns.
        path=str(folder / "offline" / contract["fingerprint"] / "*.parquet"),
        timestamp_field="event_timestamp",
    )
    views: dict[str, FeatureView] = {}
    for name in dict.fromkeys(feature["view"] for feature in contract["features"]):
        fields = [
            Field(name=feature["name"], dtype=Float64, description=feature["description"])
            for feature in contract["features"]
            if feature["view"] == name
        ]
        stamp = Field(name=stamp_of(name), dtype=Int64, description="moment of the features, microseconds UTC")
        views[name] = FeatureView(
            name=name,
            entities=[customer],
            # Without end: Feast ignores it on online reads, and serving looks at the age itself.
            ttl=timedelta(0),
            schema=[*fields, stamp, Field(name="customer_id", dtype=String)],
            source=snapshots,
        )
    service = FeatureService(name="decision", features=list(views.values()))
    return {"customer": customer, "snapshots": snapshots, "decision": service, **views}


_CONTRACT = Path(__file__).with_name("contract.json")
if _CONTRACT.exists():  # beside it in a home, where `feast` looks for objects at the top level of this module
    globals().update(define(json.loads(_CONTRACT.read_text()), _CONTRACT.parent))
