"""Finding victims that share a network: between them an attack is white-box, not a transfer."""

from __future__ import annotations

from collections.abc import Mapping

from project.victims import Victim


def victims_sharing_networks(victims: Mapping[str, Victim]) -> dict[str, list[str]]:
    """Return for each victim the others that share a network with it; victims without any are out.

    An ensemble shares networks with its members, and with other ensembles of any of them. Networks
    are compared by their weights, since a config builds an ensemble's members separately.
    """
    networks = {name: _networks(victim) for name, victim in victims.items()}
    found = {
        name: [other for other in victims if other != name and networks[other] & own]
        for name, own in networks.items()
    }
    return {name: others for name, others in found.items() if others}


def _networks(victim: Victim) -> set[str]:
    """Return the fingerprints of a victim's innermost victims: itself, or an ensemble's members."""
    inside = [module for module in victim.modules() if isinstance(module, Victim)]
    whole = [one for one in inside if not any(isinstance(m, Victim) for m in [*one.modules()][1:])]
    return {one.fingerprint() for one in whole}
