"""The command `segue suppress`: who is not to be contacted, by anybody about anything."""

from __future__ import annotations

from typing import Annotated

import typer

from features.cli import Home
from features.errors import InvalidInput, NotFound
from features.ids import typed_id


def suppress(
    customer_id: Annotated[str | None, typer.Argument(help="The customer; without one the list is shown.")] = None,
    home: Home = None,
    reason: Annotated[str | None, typer.Option(help="Why; it is shown where the decision is explained.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Take the customer off the list.")] = False,
) -> None:
    """Put a customer on the suppression list, which wins over everything, or take them off it."""
    from features.clock import now
    from features.ledger import open_ledger
    from features.settings import load_settings

    name = None if customer_id is None else typed_id(customer_id)
    why = (reason or "").strip()
    if name is not None and not lift and not 0 < len(why) <= 200:
        raise InvalidInput(
            "say why with --reason, in 200 characters at most; --lift takes off the list", field="reason"
        )
    ledger = open_ledger(load_settings(home).ledger)
    try:
        if name is None:
            for one in ledger.suppressions():
                typer.echo(f"{one.customer_id}\t{one.reason}")
        elif lift:
            # Also as it was typed, for what an earlier Segue put on the list with its blanks.
            if not (ledger.lift_suppression(name) | ledger.lift_suppression(customer_id or "")):
                raise NotFound(f"{name!r} is not on the suppression list", field="customer_id")
            typer.echo(f"lifted: {name}")
        else:
            ledger.suppress(name, why, now())
            typer.echo(f"suppressed: {name}")
            if ledger.customer(name) is None:
                typer.echo("note: no customer is known by this id; is it spelled as in your files?", err=True)
    finally:
        ledger.close()
