# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubernetes.core gets of a connection: what our own client goes by, and nothing to find out for itself.

PRIVATE to the collection. It runs in a process of its own. Left to itself it would run plugins again, with the whole
environment, and unpack keys of a kubeconfig into temporary files.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.connection import (
    NAME,
    PREFIX,
    Connection,
    document_of,
    refuse,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.environment import without
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.kubeconfig import (
    configuration,
    context_of,
    credential_key,
    is_proxied,
)
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.limits import Limits
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.memory import has_memory_files, memory_file

__all__ = ["without_overrides", "writer_options"]

Json = dict[str, Any]


@contextmanager
def without_overrides(environ: MutableMapping[str, str], connection: Connection) -> Iterator[None]:
    """Take out of the environment, for a while, all by which kubernetes.core would change a connection, and secrets.

    It has no option for 'nothing': an empty host would be used as one.
    """
    overrides = {name for name in environ if name.startswith(PREFIX) or name == "KUBECONFIG"}
    with without(environ, overrides | connection.withheld):
        yield


@contextmanager
def writer_options(
    connection: Connection,
    limits: Limits = Limits(),  # noqa: B008 (a value that nothing can change)
) -> Iterator[Json]:
    """The options of kubernetes.core that say how a cluster is reached, for as long as the block lasts.

    What may hold a secret is a file in memory: an argument would be seen in logs, a variable by every child, and a
    temporary file stays where a run is killed. Where an operating system has none, kubeconfig files are named as they
    are, and kubernetes.core reads them itself.
    """
    if has_memory_files() and (connection.files or connection.private):
        found = configuration(connection, limits)
        with memory_file("kubeconfig", json.dumps(_document(found))) as path:
            yield _options(path, NAME)
    elif connection.files:
        yield _options(os.pathsep.join(connection.files), context_of(connection))
    elif connection.private:
        fix = "write a kubeconfig, and set mesh_kubeconfig to it"
        raise refuse(connection.where, "this operating system has no files in memory to hand the credential on", fix)
    else:
        # Paths, and no secret.
        yield _options(connection.document, NAME)


def _options(kubeconfig: str | Json, context: str) -> Json:
    return {"kubeconfig": kubeconfig, "context": context, "persist_config": False}


def _document(found: Any) -> Json:
    """A kubeconfig of the settings that our client has."""
    cluster = {
        "server": found.host,
        "certificate-authority": found.ssl_ca_cert,
        "tls-server-name": found.tls_server_name,
        "proxy-url": found.proxy if is_proxied(found) else None,
        "insecure-skip-tls-verify": None if found.verify_ssl else True,
    }
    user = {"client-certificate": found.cert_file, "client-key": found.key_file, **_credential(found)}
    return document_of(*({key: value for key, value in part.items() if value} for part in (cluster, user)))


def _credential(found: Any) -> Json:
    """What stands in the header C(Authorization), in the words of a kubeconfig."""
    kind, _blank, value = str(found.api_key.get(credential_key(found), "")).partition(" ")
    if kind != "Basic":
        return {"token": value}
    # RFC 7617, in the encoding that the package uses.
    name, _colon, password = base64.b64decode(value).decode("latin-1").partition(":")
    return {"username": name, "password": password}
