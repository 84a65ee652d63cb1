"""Made-up studies whose truth is known: three arms, one trait, rewards that depend on both or on neither."""

from __future__ import annotations

import numpy as np

from experiments.studies.units import Units

ARMS = ("do_nothing", "one", "two")
DESIGN = np.array([0.5, 0.25, 0.25])


def world(
    seed: int, rows: int = 4_000, gain: float = 0.0, lift: float = 0.0, waves: int = 1, confounded: float = 0.0
) -> Units:
    """`gain` is what arm `one` adds for traits above 0 and arm `two` below; `lift` what `one` adds for everybody.

    `confounded` draws arm `one` more often the larger the trait. Each customer is in every wave.
    """
    rng = np.random.default_rng(seed)
    customers = rows // waves
    customer = np.tile(np.arange(customers), waves)
    trait = rng.normal(size=customers)[customer]
    logits = np.log(DESIGN) + confounded * trait[:, None] * np.array([0.0, 1.0, 0.0])
    arm = (logits + rng.gumbel(size=(len(customer), 3))).argmax(axis=1)
    suits = ((arm == 1) & (trait > 0.0)) | ((arm == 2) & (trait <= 0.0))
    mean = 1.0 + 0.3 * trait + gain * suits + lift * (arm == 1)
    return Units(
        ARMS,
        DESIGN,
        arm,
        customer,
        np.repeat(np.arange(waves), customers) * 1_000_000,
        np.column_stack([trait, rng.normal(size=len(customer))]),
        ("trait", "noise"),
        {"money": mean + rng.normal(size=len(customer))},
        0,
    )
