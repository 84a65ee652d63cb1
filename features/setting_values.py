"""What a setting may be: its type, its range, its form. Nothing is turned into another type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches

#: Types as people who write settings call them.
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

#: From .. to; shares are shares, not percents.
RANGES: Mapping[str, tuple[float, float]] = {
    "port": (1, 65_535),
    "workers": (1, 256),
    "deadline_seconds": (0.001, 60.0),
    "feature_max_age_days": (0.0, 36_500.0),
    "refresh_hours": (0.01, 8_760.0),
    "max_body_bytes": (1_024, 1 << 30),
    "holdout_share": (0.0, 1.0),
    "epsilon": (0.0, 1.0),
    "temperature": (1e-3, 1e3),
    "gamma": (0.0, 1e9),
    "probability_floor": (0.0, 1.0),
    "exploration_share": (0.0, 1.0),
    "new_arm_ramp": (0, 1_000_000_000),
    "new_arm_share": (0.0, 1.0),
    "horizon_days": (0, 3_650),
    "forgetting_days": (0.0, 36_500.0),
    "late_days": (0.0, 36_500.0),
    "poll_seconds": (0.01, 3_600.0),
    "learn_seconds": (0.0, 86_400.0),
    "apprentice_threshold": (0.0, 1.0),
    "shadow_share": (0.0, 1.0),
    "ramp_step_hours": (0.0, 8_760.0),
    "ramp_risk": (0.0001, 1.0),
    "gate_margin": (0.0, 1e9),
    "gate_harm_margin": (0.0, 1.0),
    "gate_segment_margin": (0.0, 1.0),
    "gate_calibration_error": (0.0, 10.0),
    "gate_latency_ratio": (0.1, 100.0),
    "seed": (0, (1 << 31) - 1),
}
#: Texts of a form: what they must match, and the form in words.
FORMS: Mapping[str, tuple[str, str]] = {
    "ledger_url": (
        r"(sqlite:///.+|postgresql(\+psycopg)?://.+)?",
        "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
    ),
    "host": (r"\S+", "a name or an address, such as 127.0.0.1"),
}
#: Texts that hold passwords are never shown.
SECRET = frozenset({"ledger_url", "online_store"})


def from_toml(kind: type, value: object) -> object:
    """The value of a setting as a TOML file gives it. Raises ValueError for one of another type.

    >>> from_toml(float, 1), from_toml(bool, True)
    (1.0, True)
    """
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _finite(float(value))
    if type(value) is not kind:
        raise ValueError(value)
    return _finite(value) if isinstance(value, float) else value


def from_text(kind: type, text: str) -> object:
    """The value of a setting as the environment gives it. Raises ValueError for what does not read so.

    >>> from_text(int, " 8 "), from_text(bool, "No")
    (8, False)
    """
    text = text.strip()
    if kind is bool:
        if text.lower() not in _WORDS:
            raise ValueError(text)
        return _WORDS[text.lower()]
    if kind is int:
        if not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError(text)
        return int(text)
    return _finite(float(text)) if kind is float else text


def fault(name: str, kind: type, given: object, read: Callable[[type, object], object]) -> str | None:
    """What is wrong with the value given for a setting, in words that follow its name, or None."""
    shown = "what is given" if name in SECRET else _shown(given)
    try:
        value = read(kind, given)
    except (ValueError, OverflowError):
        return f"must be {KINDS[kind]}, not {shown}"
    if name in RANGES:
        low, high = RANGES[name]
        if not low <= value <= high:  # type: ignore[operator]
            return f"must lie between {low:,.10g} and {high:,.10g}, not {shown}"
    if name in FORMS and not re.fullmatch(FORMS[name][0], str(value)):
        return f"must be {FORMS[name][1]}; not {shown}"
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, None where none is alike.

    >>> nearest("Holdout-Share", ["holdout_share", "port"]), nearest("colour", ["port"])
    ('holdout_share', None)
    """
    found = get_close_matches(name.lower().replace("-", "_"), list(known), n=1, cutoff=0.75)
    return found[0] if found else None


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(value)
    return value


def _shown(given: object) -> str:
    """As the file has it: `true` and not `True`."""
    if isinstance(given, bool):
        return str(given).lower()
    return f"the text {given!r}" if isinstance(given, str) else f"{given!r}"
