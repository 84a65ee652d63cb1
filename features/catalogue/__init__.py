"""The catalogue: what may be decided, as product teams write it in TOML, read into frozen values.

It stands on the ground floor because labels need its attribution windows and features its channels and groups; what its
expressions mean is `serving`'s business, here they are text. A folder is one catalogue: its `*.toml` files are merged.
"""

from features.catalogue.limits import SCOPES, ContactRule, QuietHours, covers
from features.catalogue.makers import make_entry
from features.catalogue.notes import notes
from features.catalogue.places import Fault
from features.catalogue.reader import load_catalogue, parse_catalogue, read_catalogue, read_sources
from features.catalogue.values import (
    EMPTY_CATALOGUE,
    REPORTS,
    Action,
    Catalogue,
    Channel,
    ContextWeight,
    Group,
    Intent,
    Reward,
    Treatment,
)
from features.catalogue.writer import write_catalogue

__all__ = [
    "EMPTY_CATALOGUE",
    "REPORTS",
    "SCOPES",
    "Action",
    "Catalogue",
    "Channel",
    "ContactRule",
    "ContextWeight",
    "Fault",
    "Group",
    "Intent",
    "QuietHours",
    "Reward",
    "Treatment",
    "covers",
    "load_catalogue",
    "make_entry",
    "notes",
    "parse_catalogue",
    "read_catalogue",
    "read_sources",
    "write_catalogue",
]
