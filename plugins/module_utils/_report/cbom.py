# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cryptography of an estate as a bill of materials: CycloneDX 1.6, a CBOM. Pure.

PRIVATE to the collection. Source: CycloneDX v1.6 JSON Reference, components of type cryptographic-asset. It is written
as plain values: a user needs no package for it, and a test holds it against the published schema.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.crossmesh.mtls.plugins.module_utils._report.model import Certificate, Link, Report, Root

__all__ = ["to_cbom"]

Json = dict[str, Any]

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
_HOME = "https://github.com/crossmesh/crossmesh.mtls"
_CURVES = {"P-256": "nist/P-256", "P-384": "nist/P-384", "secp521r1": "nist/P-521"}


def to_cbom(report: Report) -> Json:
    """Certificates, roots, their keys' algorithms, and the TLS that links can negotiate."""
    assets: list[Certificate | Root] = [*report.roots, *report.certificates]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{_HOME}/{report.instance}/{report.made_at}')}",
        "version": 1,
        "metadata": {
            "timestamp": report.made_at,
            "component": {"type": "application", "bom-ref": "estate", "name": f"crossmesh instance {report.instance}"},
        },
        "components": [
            *_unique(_algorithms(assets)),
            *(_certificate(item) for item in assets),
            *_protocols(report.links),
        ],
        "dependencies": [*_dependencies(report, assets)],
    }


def _unique(components: Iterator[Json]) -> list[Json]:
    return [*{component["bom-ref"]: component for component in components}.values()]


def _algorithms(assets: Sequence[Certificate | Root]) -> Iterator[Json]:
    """Of keys and of signatures; what only the records know has neither."""
    for item in assets:
        if item.key_type:
            parameters: Json = {"primitive": "signature", "parameterSetIdentifier": str(item.key_size)}
            if item.key_type in _CURVES:
                parameters["curve"] = _CURVES[item.key_type]
            yield _algorithm(item.key_type, {**parameters, "cryptoFunctions": ["keygen", "sign", "verify"]})
        if item.signature_algorithm:
            yield _algorithm(
                item.signature_algorithm, {"primitive": "signature", "cryptoFunctions": ["sign", "verify"]}
            )


def _algorithm(name: str, properties: Json) -> Json:
    return {
        "type": "cryptographic-asset",
        "bom-ref": f"algorithm/{name}",
        "name": name,
        "cryptoProperties": {"assetType": "algorithm", "algorithmProperties": properties},
    }


def _certificate(item: Certificate | Root) -> Json:
    properties: Json = {
        "subjectName": item.subject,
        "notValidBefore": item.not_before,
        "notValidAfter": item.not_after,
        "certificateFormat": "X.509",
    }
    if issuer := item.subject if isinstance(item, Root) else item.issuer:
        properties["issuerName"] = issuer
    if item.signature_algorithm:
        properties["signatureAlgorithmRef"] = f"algorithm/{item.signature_algorithm}"
    return {
        "type": "cryptographic-asset",
        "bom-ref": f"certificate/{item.fingerprint}",
        "name": item.subject or " ".join(_names(item)),
        "hashes": [{"alg": "SHA-256", "content": item.fingerprint}],
        "cryptoProperties": {"assetType": "certificate", "certificateProperties": properties},
        "evidence": {"occurrences": [{"location": item.key_location}]},
        "properties": [
            {"name": f"crossmesh:{name}", "value": value} for name, value in sorted(_told(item).items()) if value
        ],
    }


def _names(item: Certificate | Root) -> Sequence[str]:
    return () if isinstance(item, Root) else item.names


def _told(item: Certificate | Root) -> dict[str, str]:
    """What the format has no field for."""
    common = {"serial": item.serial}
    if isinstance(item, Root):
        return {**common, "role": item.role}
    return {
        **common,
        "cluster": item.cluster,
        "side": item.side,
        "names": " ".join(item.names),
        "links": " ".join(item.links),
        "in-service": "yes" if item.in_service else "no",
    }


def _protocols(links: Sequence[Link]) -> list[Json]:
    """Each version of TLS that some link can negotiate."""
    suites: dict[str, dict[str, None]] = {}
    for link in links:
        for version in link.tls.versions:
            # What is configured is for TLS 1.2; the suites of 1.3 nobody can configure in Envoy.
            found = suites.setdefault(version, {})
            found |= dict.fromkeys(link.tls.ciphers if version == "TLSv1.2" else ())
    return [
        {
            "type": "cryptographic-asset",
            "bom-ref": f"protocol/{version}",
            "name": version,
            "cryptoProperties": {
                "assetType": "protocol",
                "protocolProperties": {
                    "type": "tls",
                    "version": version.removeprefix("TLSv"),
                    "cipherSuites": [{"name": name} for name in found],
                },
            },
        }
        for version, found in sorted(suites.items())
    ]


def _dependencies(report: Report, assets: Sequence[Certificate | Root]) -> Iterator[Json]:
    known = {item.fingerprint for item in assets}
    protocols = sorted({version for link in report.links for version in link.tls.versions})
    used = [f"certificate/{item.fingerprint}" for item in report.certificates if item.in_service]
    yield {"ref": "estate", "dependsOn": [*(f"protocol/{version}" for version in protocols), *used]}
    for item in assets:
        on = [f"algorithm/{name}" for name in (item.key_type, item.signature_algorithm) if name]
        if isinstance(item, Certificate) and item.root in known:
            on.append(f"certificate/{item.root}")
        yield {"ref": f"certificate/{item.fingerprint}", "dependsOn": list(dict.fromkeys(on))}
