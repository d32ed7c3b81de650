# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not come of a lie: each judgement by itself. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization

from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.crl import parse_crls
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import (
    CertificateView,
    parse_certificates,
    verify_issued_by,
)
from tests.integration.support import secret_traces

from .memory import Memory
from .scenery import HONEST, HOSTILE, is_of_others
from .stage import Ended, State

__all__ = ["Expected", "Violation", "judge", "names_by_cluster", "signature"]

Json = dict[str, Any]
Key = tuple[str, str, str]

# What a terminal obeys, or shows in another order.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CRASHES = ("Traceback (most recent call last)", "An exception occurred during task execution", "[internal-error]")
_FAILED = re.compile(r"\[ERROR\]: (.*?)(?=\n\n|\n\[|\Z)", re.DOTALL)
_CODE = re.compile(r"\[[a-z0-9-]+\]")
# What another cluster's administrator may set of these in his own cluster.
_GATEWAY_SERVICES = frozenset({"istio-ingressgateway", "istio-egressgateway"})


class Violation(NamedTuple):
    """:param kind: which judgement it is of."""

    kind: str
    what: str


@dataclass(frozen=True)
class Expected:
    """What an honest run of the same has come to.

    :param names: those that the inventory gives each cluster.
    :param roots: fingerprints of the CA's before the run.
    :param liars: fingerprints of roots of the liar's.
    :param signatures: of the honest clusters.
    :param objects: keys of all objects of the hostile cluster, before and after.
    :param waits: whether the run has to see all clusters before it goes on.
    :param limit: seconds.
    """

    names: Mapping[str, frozenset[str]]
    roots: frozenset[str]
    liars: frozenset[str]
    signatures: Mapping[str, Json]
    objects: frozenset[Key]
    ports: frozenset[int]
    secrets: Sequence[bytes]
    waits: bool
    limit: float
    known: Sequence[bytes] = field(default=())


def judge(before: State, ended: Ended, expected: Expected) -> list[Violation]:
    return [
        *_names(ended.state, expected),
        *_roots(ended.state, expected),
        *_others(before, ended.state, expected),
        *_secrets(ended, expected),
        *_stopped(before, ended, expected),
        *_crashes(ended),
        *([Violation("time", f"not ended after {expected.limit:.0f} s")] if ended.late else []),
    ]


# -- names and roots -----------------------------------------------------------------------------------------------


def names_by_cluster(state: State) -> dict[str, frozenset[str]]:
    """Of the certificates that lie in each cluster."""
    return {
        cluster: frozenset(name for leaf in _leaves(_secrets_of(memory)) for name in leaf.sans)
        for cluster, memory in state.memories.items()
    }


def _names(state: State, expected: Expected) -> Iterator[Violation]:
    """Whatever was sent to a cluster or is on record: dry or not, accepted or not."""
    for cluster, memory in state.memories.items():
        sent = [{"data": item["data"]} for item in memory.seen]
        for leaf in _leaves([*sent, *_secrets_of(memory)]):
            yield from _too_many(f"a certificate in {cluster}", leaf.sans, expected.names[cluster])
    for path, content in state.store.items():
        if path.startswith("issued/") and path.endswith(".json"):
            record = json.loads(content)
            record = record.get("record", record)
            yield from _too_many(
                f"a record of {record['cluster']}", record["sans"], expected.names.get(record["cluster"], frozenset())
            )


def _too_many(what: str, found: Sequence[str], allowed: frozenset[str]) -> Iterator[Violation]:
    if surplus := set(found) - allowed:
        yield Violation("names", f"{what} holds {', '.join(sorted(surplus))}")


def _roots(state: State, expected: Expected) -> Iterator[Violation]:
    own = expected.roots | roots_of(state)
    if lied := roots_of(state) & expected.liars:
        yield Violation("roots", f"the store holds the liar's root {', '.join(sorted(lied))}")
    for cluster in HONEST:
        memory = state.memories[cluster]
        for item in [*memory.seen, *_secrets_of(memory)]:
            trusted = {view.fingerprint for view in _certificates(item["data"].get("ca.crt", ""))}
            if foreign := (trusted - own) | (trusted & expected.liars):
                yield Violation("roots", f"{cluster} is given the root {', '.join(sorted(foreign))}")


def roots_of(state: State) -> frozenset[str]:
    """Fingerprints of the roots in a store."""
    found = [
        view.fingerprint
        for path, content in state.store.items()
        if path.startswith("roots/") and path.endswith(".crt")
        for view in parse_certificates(content)
    ]
    return frozenset(found)


def _leaves(secrets: Sequence[Json]) -> Iterator[CertificateView]:
    for item in secrets:
        yield from _certificates((item.get("data") or {}).get("tls.crt", ""))[:1]


def _certificates(encoded: str | None) -> tuple[CertificateView, ...]:
    try:
        return parse_certificates(base64.b64decode(encoded or ""))
    except CrossmeshError:
        return ()


def _secrets_of(memory: Memory) -> list[Json]:
    return [item for (kind, _namespace, _name), item in memory.objects.items() if kind == "Secret"]


# -- objects of others ---------------------------------------------------------------------------------------------


def _others(before: State, after: State, expected: Expected) -> Iterator[Violation]:
    for cluster, memory in before.memories.items():
        there = after.memories[cluster].objects
        for key, item in memory.objects.items():
            if is_of_others(item) and there.get(key) != item:
                yield Violation(
                    "others", f"{' '.join(key)} of {cluster} was {'changed' if key in there else 'deleted'}"
                )
            if key[0] in ("Service", "Pod", "Namespace", "ConfigMap"):
                yield from _of_the_cluster(cluster, key, item, there.get(key), expected)
    for key in after.memories[HOSTILE].objects.keys() - expected.objects:
        yield Violation("others", f"{' '.join(key)} was made, which nobody has asked for")


def _of_the_cluster(cluster: str, key: Key, was: Json, now: Json | None, expected: Expected) -> Iterator[Violation]:
    title = f"{' '.join(key)} of {cluster}"
    if now is None:
        yield Violation("others", f"{title} was deleted")
        return
    if _without_ports(was) != _without_ports(now):
        yield Violation("others", f"{title} was changed")
    if key[0] == "Service":
        given = {port["port"]: port for port in was["spec"]["ports"]}
        found = {port["port"]: port for port in now["spec"]["ports"]}
        if surplus := found.keys() - given.keys() - expected.ports:
            yield Violation("others", f"{title} got the ports {sorted(surplus)}")
        if lost := [port for port in given if port not in expected.ports and found.get(port) != given[port]]:
            yield Violation("others", f"{title} lost its ports {lost}")


def _without_ports(item: Json) -> Json:
    metadata = {name: value for name, value in item["metadata"].items() if name != "resourceVersion"}
    spec = {name: value for name, value in (item.get("spec") or {}).items() if name != "ports"}
    return {**item, "metadata": metadata, "spec": spec}


# -- secrets -------------------------------------------------------------------------------------------------------


def _secrets(ended: Ended, expected: Expected) -> Iterator[Violation]:
    output = ended.told.encode(errors="surrogateescape")
    for secret in expected.secrets:
        if secret_traces.found_in(output, secret_traces.of_text(secret)):
            yield Violation("secrets", "the output holds the passphrase or a token")
    if secret_traces.found_in(output, secret_traces.of_any_key()):
        yield Violation("secrets", "the output holds a private key")
    for pem in {*keys_of(ended.state)}:
        if secret_traces.found_in(output, secret_traces.of_key(pem)):
            yield Violation("secrets", "the output holds a gateway's private key")
    if ended.led_astray:
        yield Violation("secrets", "a credential was sent to another server")


def keys_of(state: State) -> Iterator[bytes]:
    """All private keys of gateways that there are, or that were sent to a cluster."""
    for memory in state.memories.values():
        for item in [*memory.seen, *_secrets_of(memory)]:
            key = base64.b64decode((item.get("data") or {}).get("tls.key", ""))
            if _is_key(key):
                yield key


def _is_key(pem: bytes) -> bool:
    """A trial has something else in its place."""
    try:
        serialization.load_pem_private_key(pem, password=None)
    except ValueError:
        return False
    return True


# -- the others ----------------------------------------------------------------------------------------------------


def _stopped(before: State, ended: Ended, expected: Expected) -> Iterator[Violation]:
    if ended.late:
        return
    recap = ended.run.recap
    for cluster in HONEST:
        counts = recap.get(cluster, {})
        if not counts or counts["failed"] or counts["unreachable"]:
            yield Violation(
                "held" if expected.waits else "stopped", f"{cluster} did not come to its end: {counts or 'never begun'}"
            )
        elif signature(before, ended.state, cluster) != expected.signatures[cluster]:
            differing = _differing(expected.signatures[cluster], signature(before, ended.state, cluster))
            yield Violation(
                "held" if expected.waits else "stopped", f"{cluster} did not get what it should: {differing}"
            )
    yield from _links_that_do_not_stand(before, ended.state)


def signature(before: State, after: State, cluster: str) -> Json:
    """What a cluster got, without what is another in each run."""
    return {
        " ".join(key): _of_secret(item, before.memories[cluster].objects.get(key))
        if key[0] == "Secret"
        else _of_object(item)
        for key, item in after.memories[cluster].objects.items()
    }


def _of_object(item: Json) -> Json:
    return {name: item.get(name) for name in ("spec", "data")} | {"labels": item["metadata"].get("labels")}


def _of_secret(item: Json, before: Json | None) -> Json:
    data = item.get("data") or {}
    leaf = next(iter(_certificates(data.get("tls.crt"))), None)
    old = next(iter(_certificates(((before or {}).get("data") or {}).get("tls.crt"))), None)
    return {
        "keys": sorted(data),
        "sans": sorted(leaf.sans) if leaf else [],
        "renewed": bool(leaf and old and leaf.serial != old.serial),
        "roots": len(_certificates(data.get("ca.crt"))),
        "revoked": sorted(_revoked(data.get("ca.crl"))),
    }


def _revoked(encoded: str | None) -> set[str]:
    if not encoded:
        return set()
    return {
        str(entry.serial) for found in parse_crls(base64.b64decode(encoded), where="ca.crl") for entry in found.revoked
    }


def _differing(wanted: Json, found: Json) -> str:
    keys = [key for key in sorted({*wanted, *found}) if wanted.get(key) != found.get(key)]
    return "; ".join(f"{key}: {_few(wanted.get(key))} became {_few(found.get(key))}" for key in keys[:2])


def _few(value: Any) -> str:
    return json.dumps(value)[:200]


def _links_that_do_not_stand(before: State, after: State) -> Iterator[Violation]:
    """Both ends of each link between honest clusters that stood: each trusts the other's certificate."""
    for server, client in _pairs(before):
        at_server, at_client = (_data(after, *place) for place in (server, client))
        for holder, judge_ in ((at_server, at_client), (at_client, at_server)):
            leaf = next(iter(_certificates(holder.get("tls.crt"))), None)
            trusted = _certificates(judge_.get("ca.crt"))
            if leaf is None or not any(verify_issued_by(leaf, root) for root in trusted):
                yield Violation("broken", f"{' '.join(server)} and {' '.join(client)} do not trust each other any more")
            elif str(leaf.serial) in _revoked(judge_.get("ca.crl")):
                yield Violation("broken", f"{' '.join(client)} is revoked at {' '.join(server)}")


def _pairs(state: State) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for name in ("mysql-credential", "bank-credential"):
        places = (HONEST[0], name), (HONEST[1], "client-credential")
        if all(_data(state, *place) for place in places):
            yield places


def _data(state: State, cluster: str, name: str) -> Json:
    found: Json = state.memories[cluster].objects.get(("Secret", "istio-system", name), {}).get("data") or {}
    return found


# -- what people see -----------------------------------------------------------------------------------------------


def _crashes(ended: Ended) -> Iterator[Violation]:
    output = ended.told
    for text in _CRASHES:
        if text in output:
            where = output.index(text)
            yield Violation("crash", " ".join(output[max(0, where - 200) : where + 600].split()))
    for told in _FAILED.findall(output):
        if not _CODE.search(told):
            yield Violation("bare", " ".join(told.split())[:400])
    if found := _CONTROLS.search(output):
        where = found.start()
        yield Violation("control", repr(output[max(0, where - 100) : where + 60]))
    if not ended.late and "PLAY RECAP" not in output:
        yield Violation("crash", f"no recap: {output[-600:]}")
