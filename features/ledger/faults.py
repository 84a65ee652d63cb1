"""What a database says that cannot be opened or cannot do its work, in our words, without the password."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from features.errors import InvalidInput, LedgerUnavailable

P = ParamSpec("P")
T = TypeVar("T")
_WANTED = "write sqlite:///folder/ledger.db, or postgresql://user@host:5432/database"

#: Why a ledger cannot do its work now: codes of `LedgerUnavailable`, and what is said.
BUSY, FULL, READ_ONLY, AWAY = "ledger_busy", "ledger_full", "ledger_read_only", "ledger_unavailable"
_WORDS = {
    BUSY: "the ledger is held by another process, such as an import; nothing was written, try again shortly",
    FULL: "the ledger cannot be written: its disk is full, or a limit on file sizes is reached; nothing was written",
    READ_ONLY: "the ledger can only be read: it, its folder or its server does not allow writing; nothing was written",
    AWAY: "the ledger does not answer; nothing is lost that was answered before, try again shortly",
}
#: SQLite's result codes, the extended ones first (sqlite.org/rescode.html): SQLITE_IOERR_WRITE, _FSYNC, _TRUNCATE and
#: _SHMSIZE are what a full disk or a limit on file sizes looks like; BUSY, LOCKED; FULL; READONLY; PERM, NOMEM, IOERR,
#: CORRUPT, CANTOPEN, NOTADB.
_SQLITE = {
    **dict.fromkeys((778, 1034, 1546, 4874), FULL),
    **{5: BUSY, 6: BUSY, 13: FULL, 8: READ_ONLY},
    **dict.fromkeys((3, 7, 10, 11, 14, 26), AWAY),
}
#: PostgreSQL's, the first of these that a code begins with (Appendix A of its manual): lock not to be had, deadlock,
#: serialization, cancelled, too many connections; disk full; read-only; everything of connection, resources, system.
_POSTGRESQL = (
    *((code, BUSY) for code in ("55P03", "40P01", "40001", "57014", "53300")),
    *(("53100", FULL), ("25006", READ_ONLY)),
    *((code, AWAY) for code in ("08", "28", "53", "57", "58", "XX")),
)


def unavailable(code: str) -> LedgerUnavailable:
    """The error of one of the codes above."""
    return LedgerUnavailable(_WORDS[code], code=code)


def in_our_words(error: Exception, driver: Any) -> LedgerUnavailable | None:
    """What an error of the driver means for whoever waits; None where it is not the database that is at fault."""
    if isinstance(error, NoConnectionFree):
        return unavailable(BUSY)
    said = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(said, driver.Error):
        return None
    number, state = getattr(said, "sqlite_errorcode", None), getattr(said, "sqlstate", None)
    if number is not None:
        code = _SQLITE.get(number) or _SQLITE.get(number & 0xFF)
    elif state is not None:
        code = next((code for start, code in _POSTGRESQL if state.startswith(start)), None)
    else:
        code = AWAY if isinstance(said, driver.OperationalError) else None
    return None if code is None else unavailable(code)


def told_plainly(opener: Callable[Concatenate[str, P], T]) -> Callable[Concatenate[str, P], T]:
    """`opener`, which takes the address of a database first, with its errors in our words.

    Raises InvalidInput for an address that is none of ours, LedgerUnavailable for a database that does not answer.
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
        except (DBAPIError, LedgerUnavailable) as error:
            cause = error.__cause__ if isinstance(error, LedgerUnavailable) else error
            said = str(getattr(cause, "orig", cause)).strip().splitlines()
            reason = said[0] if said else type(cause).__name__
            file = make_url(url).database if shown.startswith("sqlite") else None
            if file and not Path(file).parent.is_dir():
                reason = "its folder is not there; `segue up` or `segue import` makes it, or name another with --home"
            code = error.code if isinstance(error, LedgerUnavailable) else AWAY
            raise LedgerUnavailable(f"the ledger {shown} cannot be opened: {reason}", code=code) from error

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
