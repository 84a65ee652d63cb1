"""Every error Segue raises on purpose. Each carries a stable `code`, a message that says what to do, and a `field`.

SegueError
├── InvalidInput            422  wrong values
│   ├── Malformed           400  not JSON, or not the shape asked for
│   ├── TooLarge            413
│   ├── UnsupportedEncoding 415  packed in a way that is not unpacked here
│   ├── MappingError             a mapping file is wrong: file and key are named
│   └── CatalogueError           a catalogue file is wrong: file, line and key are named
├── NotFound                404
├── Conflict                409  same id, other body
├── NotReady                503  something needed is not there yet
│   ├── NoData                   nothing to learn from or to review
│   ├── StoreUnavailable         the feature store does not answer
│   └── LedgerUnavailable        the ledger is busy, full, read-only or away: the code says which
├── ContactTaken                 another request of the customer committed first: decide again
└── UntrustedArtefact            a bundle whose bytes are not the ones that were signed off
"""

from __future__ import annotations


class SegueError(Exception):
    """The root: what went wrong (`code`), in words (`message`), and where (`field`, or None)."""

    code = "error"
    status = 500
    #: After how many seconds the same may be tried again, where it may.
    retry_after: int | None = None

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        if code is not None:
            self.code = code


class InvalidInput(SegueError):
    code, status = "invalid_value", 422


class Malformed(InvalidInput):
    code, status = "malformed", 400


class TooLarge(InvalidInput):
    code, status = "too_large", 413


class UnsupportedEncoding(InvalidInput):
    code, status = "unsupported_encoding", 415


class MappingError(InvalidInput):
    code = "invalid_mapping"


class CatalogueError(InvalidInput):
    code = "invalid_catalogue"


class NotFound(SegueError):
    code, status = "not_found", 404


class Conflict(SegueError):
    code, status = "conflict", 409


class NotReady(SegueError):
    code, status, retry_after = "not_ready", 503, 2


class NoData(NotReady):
    code = "no_data"


class StoreUnavailable(NotReady):
    code = "feature_store_unavailable"


class LedgerUnavailable(NotReady):
    code = "ledger_unavailable"


class ContactTaken(SegueError):
    code, status = "contact_taken", 409


class UntrustedArtefact(SegueError):
    code, status = "untrusted_artefact", 503
