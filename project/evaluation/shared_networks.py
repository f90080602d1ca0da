"""Which victims share a network: between them there is no transfer."""

from __future__ import annotations

from collections.abc import Mapping

from project.victims import Victim


def victims_sharing_networks(victims: Mapping[str, Victim]) -> dict[str, list[str]]:
    """Return for each victim the others that share a network with it; without any, it is left out.

    An ensemble shares them with its members, and with another ensemble of one of them. Networks are
    compared by their weights, since a config makes a member anew.
    """
    networks = {name: _networks(victim) for name, victim in victims.items()}
    found = {
        name: [other for other in victims if other != name and networks[other] & own]
        for name, own in networks.items()
    }
    return {name: others for name, others in found.items() if others}


def _networks(victim: Victim) -> set[str]:
    """Return the fingerprints of the victims inside of a victim that hold no other ones."""
    inside = [module for module in victim.modules() if isinstance(module, Victim)]
    whole = [one for one in inside if not any(isinstance(m, Victim) for m in [*one.modules()][1:])]
    return {one.fingerprint() for one in whole}
