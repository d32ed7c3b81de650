# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's admin interface, read: answers in the shape that a gateway's proxy gave them, shortened."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.envoy import (
    Connections,
    Trust,
    connections,
    serial,
    served_serials,
    trust,
)
from tests.unit.support import Json

CERTS: Json = {
    "certificates": [
        {
            "ca_cert": [
                {"path": "<inline>", "serial_number": "b1762fd917fcbacddda0c353c3fa29f7", "subject_alt_names": []}
            ],
            "cert_chain": [
                {
                    "path": "<inline>",
                    "serial_number": "3af26e85347d71d7d9936cc667d341a2",
                    "subject_alt_names": [{"uri": "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway"}],
                    "days_until_expiration": "0",
                    "valid_from": "2026-11-23T08:54:01Z",
                    "expiration_time": "2026-11-24T08:56:01Z",
                }
            ],
        },
        {
            "ca_cert": [{"path": "<inline>", "serial_number": "378c14bb5380a8a7d7461d01e1256c234d4d2bf5"}],
            "cert_chain": [
                {
                    "path": "<inline>",
                    "serial_number": "1e21846d292ed2519b3bd94b3888c6564047096d",
                    "subject_alt_names": [{"dns": "cluster-a.cluster.crossmesh.internal"}],
                }
            ],
        },
        # A context that only verifies, and one whose certificate has not come yet.
        {"ca_cert": [{"path": "/etc/ssl/certs/ca-certificates.crt", "serial_number": "01"}], "cert_chain": []},
        {"ca_cert": []},
    ]
}


def test_serials_of_leaf_certificates_not_of_roots() -> None:
    assert served_serials(json.dumps(CERTS)) == [
        "1e21846d292ed2519b3bd94b3888c6564047096d",
        "3af26e85347d71d7d9936cc667d341a2",
    ]


def test_a_certificate_that_several_listeners_hold_counts_once() -> None:
    twice = {"certificates": [*CERTS["certificates"], *CERTS["certificates"]]}
    assert served_serials(json.dumps(twice)) == served_serials(json.dumps(CERTS))


@pytest.mark.parametrize("answer", ["{}", '{"certificates": []}'])
def test_a_proxy_that_has_loaded_nothing(answer: str) -> None:
    assert served_serials(answer) == []


@pytest.mark.parametrize("text", ["0A1B", "a1b", "0a:1b", "00a1b", "A1B"])
def test_one_form_of_a_serial(text: str) -> None:
    assert serial(text) == "a1b"


def secret(name: str, **content: Json) -> Json:
    return {
        "@type": "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret",
        "name": name,
        "last_updated": "2026-11-23T08:58:39.918Z",
        "secret": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            **content,
        },
    }


def inline(text: str) -> Json:
    return {"inline_bytes": base64.b64encode(text.encode()).decode()}


def test_roots_and_revocation_lists_of_every_secret_that_came_by_sds() -> None:
    dump = {
        "configs": [
            secret(
                "default", tls_certificate={"certificate_chain": inline("leaf"), "private_key": inline("[redacted]")}
            ),
            secret("ROOTCA", validation_context={"trusted_ca": inline("mesh root")}),
            secret(
                "kubernetes://mysql-credential-cacert",
                validation_context={"trusted_ca": inline("old\nnew"), "crl": inline("list")},
            ),
            secret("kubernetes://other-cacert", validation_context={"trusted_ca": {"inline_string": "other"}}),
            secret("from-a-file", validation_context={"trusted_ca": {"filename": "/etc/ssl/ca.crt"}}),
            secret("no-roots", validation_context={"crl": inline("list")}),
            secret("still-warming"),
        ]
    }
    assert trust(json.dumps(dump)) == {
        "ROOTCA": Trust("mesh root", ""),
        "kubernetes://mysql-credential-cacert": Trust("old\nnew", "list"),
        "kubernetes://other-cacert": Trust("other", ""),
    }


def test_a_proxy_without_secrets_trusts_nobody() -> None:
    assert trust("{}") == {}


@pytest.mark.parametrize("read", [served_serials, trust])
@pytest.mark.parametrize("answer", ["", "no healthy upstream", "{"])
def test_an_answer_that_is_no_json_is_a_value_error(read: Callable[[str], object], answer: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(answer)


def test_connections_are_counted_by_the_address_that_they_are_to() -> None:
    def host(address: str, **values: str) -> Json:
        stats = [{"name": "cx_connect_fail"}, *({"name": name, "value": value} for name, value in values.items())]
        return {"address": {"socket_address": {"address": address}}, "stats": stats}

    hosts = [host("198.18.2.10", cx_total="12", rq_total="121", cx_active="2"), host("198.18.2.11", cx_total="3")]
    answer = {"cluster_statuses": [{"name": "a", "host_statuses": hosts}, {"name": "unresolved"}]}
    found = connections(json.dumps(answer))
    assert found["unresolved"] == {}
    first, second = (found["a"][place] for place in sorted(found["a"]))
    assert (first, second) == (Connections(tried=12, carried=121, open=2), Connections(tried=3))
    assert first - Connections(5, 1, 1) == Connections(7, 120, 1)
