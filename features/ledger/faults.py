"""A ledger that cannot be opened, told in one line that says what to do, without the password."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from features.errors import InvalidInput, NotReady

P = ParamSpec("P")
T = TypeVar("T")
_WANTED = "write sqlite:///folder/ledger.db, or postgresql://user@host:5432/database"


def told_plainly(opener: Callable[Concatenate[str, P], T]) -> Callable[Concatenate[str, P], T]:
    """`opener`, which takes the address of a database first, with its errors in our words.

    Raises InvalidInput for an address that is none of ours, NotReady for a database that does not answer.
    """

    @wraps(opener)
    def opening(url: str, *given: P.args, **options: P.kwargs) -> T:
        shown = _shown(url)
        try:
            return opener(url, *given, **options)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise InvalidInput(
                f"ledger_url: {shown} cannot be used ({error}); {_WANTED}", field="ledger_url"
            ) from error
        except DBAPIError as error:
            said = str(error.orig).strip().splitlines()
            reason = said[0] if said else type(error.orig).__name__
            file = make_url(url).database if shown.startswith("sqlite") else None
            if file and not Path(file).parent.is_dir():
                reason = "its folder is not there; `segue up` or `segue import` makes it, or name another with --home"
            raise NotReady(f"the ledger {shown} cannot be opened: {reason}", code="ledger_unavailable") from error

    return opening


def _shown(url: str) -> str:
    """The address without its password. Raises InvalidInput for one that is none, or of another kind of database."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:  # not shown: what cannot be parsed may hold a password anywhere
        raise InvalidInput(f"ledger_url is not the address of a database; {_WANTED}", field="ledger_url") from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        kind = parsed.get_backend_name()
        raise InvalidInput(f"ledger_url: there is no ledger on {kind}; {_WANTED}", field="ledger_url")
    return parsed.render_as_string(hide_password=True)
