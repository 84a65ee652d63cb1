"""The only encoder: features and arms to numbers, the same for training and serving. Rows are plain float64 vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.catalogue import Action, Catalogue
from features.contract import FeatureContract
from features.domain import DO_NOTHING, Arm
from features.errors import InvalidInput

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Encoder:
    """What each column means. A model keeps its encoder, so a catalogue may change under it.

    `customer_features` names features of the contract, `actions`, `channels` and `groups` the ids that have a column,
    `attribute_names` the numeric action attributes. An id without a column encodes as zeros: a new action shares
    what was learned of its channel, group, value and attributes.
    """

    customer_features: tuple[str, ...]
    actions: tuple[str, ...]
    channels: tuple[str, ...]
    groups: tuple[str, ...]
    attribute_names: tuple[str, ...]

    @staticmethod
    def from_catalogue(contract: FeatureContract, catalogue: Catalogue) -> Encoder:
        """Columns for everything the contract and the catalogue name, in their order."""
        numeric = {
            name
            for action in catalogue.actions.values()
            for name in action.attributes
            if _number(action, name) is not None
        }
        return Encoder(
            contract.names,
            tuple(catalogue.actions),
            tuple(catalogue.channels),
            catalogue.groups,
            tuple(sorted(numeric)),
        )

    @property
    def customer_columns(self) -> tuple[str, ...]:
        """Names of the k columns of `customer_matrix`."""
        return self.customer_features

    @property
    def arm_columns(self) -> tuple[str, ...]:
        """Names of the a columns of `arm_matrix`."""
        return (
            *(f"action={action}" for action in self.actions),
            *(f"channel={channel}" for channel in self.channels),
            *(f"group={group}" for group in self.groups),
            "action_value",
            "contact_cost",
            *(f"action_attribute={name}" for name in self.attribute_names),
        )

    @property
    def fingerprint(self) -> str:
        """16 hex characters that name these columns and their order."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Encoder:
        return Encoder(**{name: tuple(values) for name, values in json.loads(text).items()})

    def customer_matrix(self, table: Any) -> Matrix:
        """Features of n customers out of a `pyarrow.Table`, shape (n, k); NULL becomes NaN.

        Raises InvalidInput when the table lacks a column.
        """
        missing = [name for name in self.customer_features if name not in table.column_names]
        if missing:
            raise InvalidInput(
                f"the features lack {', '.join(missing)}: build them with this contract", field=missing[0]
            )
        matrix = np.empty((table.num_rows, len(self.customer_features)))
        for place, name in enumerate(self.customer_features):
            # Arrow gives NaN for a NULL in a column of floats.
            matrix[:, place] = table.column(name).to_numpy()
        return matrix

    def customer_row(self, values: Mapping[str, float | None]) -> Matrix:
        """Features of one customer, shape (k,); None or absent becomes NaN."""
        # numpy turns None into NaN when it is told to make floats.
        return np.array([values.get(name) for name in self.customer_features], dtype=np.float64)

    def arm_matrix(self, arms: Sequence[Arm], catalogue: Catalogue) -> Matrix:
        """m arms as one-hot action, channel and group, then value, contact cost and attributes; shape (m, a).

        NaN stands for what is not known: a value that is an expression, an attribute the action lacks, and the
        value and cost of an arm the catalogue does not have (any more). DO_NOTHING has value 0 and cost 0.
        """
        places = {name: place for place, name in enumerate(self.arm_columns)}
        matrix = np.zeros((len(arms), len(places)))
        numbers = len(self.actions) + len(self.channels) + len(self.groups)
        matrix[:, numbers:] = np.nan
        for row, arm in zip(matrix, arms, strict=True):
            action = catalogue.actions.get(arm.action)
            names = [f"action={arm.action}", f"channel={arm.channel}", f"group={action.group if action else ''}"]
            row[[places[name] for name in names if name in places]] = 1.0
            row[numbers:] = [*_value_and_cost(arm, catalogue), *(_number(action, n) for n in self.attribute_names)]
        return matrix


def _value_and_cost(arm: Arm, catalogue: Catalogue) -> tuple[float, float]:
    if arm == DO_NOTHING:
        return 0.0, 0.0
    action = catalogue.actions.get(arm.action)
    value = action.value if action is not None and not isinstance(action.value, str) else np.nan
    try:
        return value, catalogue.contact_cost(arm)
    except KeyError:
        return value, np.nan


def _number(action: Action | None, name: str) -> float | None:
    """The numeric attribute of an action; None when it has none of this name, or it is a text."""
    value = action.attributes.get(name) if action is not None else None
    return float(value) if isinstance(value, int | float) else None
