"""The command `segue suppress`: who is not to be contacted, by anybody about anything."""

from __future__ import annotations

from typing import Annotated

import typer

from features.cli import Home
from features.errors import InvalidInput, NotFound


def suppress(
    customer_id: Annotated[str | None, typer.Argument(help="The customer; without one the list is shown.")] = None,
    home: Home = None,
    reason: Annotated[str | None, typer.Option(help="Why; it is shown where the decision is explained.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Take the customer off the list.")] = False,
) -> None:
    """Put a customer on the suppression list, which wins over everything, or take them off it."""
    from features.clock import now
    from features.domain import MAX_ID_LENGTH
    from features.ledger import open_ledger
    from features.settings import load_settings

    if customer_id is not None and not 0 < len(customer_id) <= MAX_ID_LENGTH:
        raise InvalidInput(f"a customer id has 1 to {MAX_ID_LENGTH} characters", field="customer_id")
    if customer_id is not None and not lift and not (reason and len(reason) <= 200):
        raise InvalidInput(
            "say why with --reason, in 200 characters at most; --lift takes off the list", field="reason"
        )
    ledger = open_ledger(load_settings(home).ledger)
    try:
        if customer_id is None:
            for one in ledger.suppressions():
                typer.echo(f"{one.customer_id}\t{one.reason}")
        elif lift:
            if not ledger.lift_suppression(customer_id):
                raise NotFound("this customer is not on the suppression list", field="customer_id")
            typer.echo("lifted")
        else:
            ledger.suppress(customer_id, reason or "", now())
            typer.echo("suppressed")
    finally:
        ledger.close()
