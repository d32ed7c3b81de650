# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of this process's environment the programs that it starts do not get.

PRIVATE to the collection. Plugins of kubeconfigs and kubernetes.core inherit it, and the CA's passphrase is nothing to
them. What they need of it themselves, credentials of a cloud above all, nobody can list: so they get all but what is
known to be ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import PREFIX

__all__ = ["SECRETS", "withheld", "without"]

# Variables of the contract that hold a secret; in capitals it is how those of an environment are named after them.
SECRETS = ("custom_ca_passphrase", "custom_ca_import_passphrase", "mesh_api_key")
_NAMES = frozenset(map(str.upper, SECRETS))
# A shorter value may be that of something else by chance.
_SHORTEST = 8


def withheld(environ: Mapping[str, str], secrets: Iterable[str]) -> frozenset[str]:
    """Names of the variables that hold a secret of ours: by their names, and by what they hold.

    :param secrets: what the variables of the contract hold.
    """
    known = {secret for value in secrets if len(secret := value.strip()) >= _SHORTEST}
    return frozenset(
        name
        for name, value in environ.items()
        if name in _NAMES or name.startswith(PREFIX) or (known and value.strip() in known)
    )


@contextmanager
def without(environ: MutableMapping[str, str], names: Collection[str]) -> Iterator[None]:
    """Take variables out of the environment for a while."""
    taken = {name: environ.pop(name) for name in names if name in environ}
    try:
        yield
    finally:
        environ.update(taken)
