"""What models were trained on must be what they are shown: a bundle is bound to names of features and their meaning."""

from __future__ import annotations

from features.contract import FeatureContract, read_contract
from features.errors import UntrustedArtefact
from features.settings import Settings
from training.bundle import Bundle, load_bundle


def load_fitting_bundle(settings: Settings, bundle_id: str) -> Bundle:
    """The bundle, where the features it was trained on still mean what they did.

    Raises as `load_bundle` does, and UntrustedArtefact that names what changed.
    """
    bundle = load_bundle(settings.bundle_folder / bundle_id)
    require_fitting(bundle, read_contract(settings.feature_folder))
    return bundle


def require_fitting(bundle: Bundle, contract: FeatureContract | None) -> None:
    """Raises UntrustedArtefact where a feature of the bundle means something else in the contract in force.

    Features that came since do not concern it, and one that was removed it sees as missing.
    """
    changed = () if contract is None else bundle.contract.changed_in(contract)
    if changed:
        names = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise UntrustedArtefact(
            f"{bundle.bundle_id}: {names} meant something else when its models were trained; "
            "`segue train` makes models on what it means now",
            code="features_redefined",
        )
