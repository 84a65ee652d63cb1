"""Who is in which group: a keyed hash of the unit, so it is sticky, needs no table, and anyone can recompute it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

BUCKETS = 1_000_000


def bucket(salt: str, unit: str) -> int:
    """sha256(salt|unit) mod 10^6, uniform over 0 .. 999,999.

    >>> bucket("segue:holdout", "customer-1") == bucket("segue:holdout", "customer-1")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{salt}|{unit}".encode()).digest(), "big") % BUCKETS


def uniform(*key: object) -> float:
    """A draw from [0, 1) that is a function of its key alone: 53 bits of sha256 of the key's parts."""
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 9_007_199_254_740_992  # 2^53


@dataclass(frozen=True, slots=True)
class Layer:
    """One division of all customers: the named variant gets the buckets below `share`, everybody else `rest`.

    Raising the share only adds units to the variant: nobody leaves it.
    """

    name: str
    variant: str
    rest: str
    share: float

    def assign(self, salt: str, unit: str) -> str:
        return self.variant if bucket(f"{salt}:{self.name}", unit) < round(self.share * BUCKETS) else self.rest


def holdout_layer(share: float) -> Layer:
    """Customers kept from all actions, to measure the programme as a whole."""
    return Layer("holdout", "holdout", "everyone", share)
