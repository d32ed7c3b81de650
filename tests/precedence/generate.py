# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random sets of objects around one link of ours: what a cluster may hold, and the proxies that go by it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .control_plane import Object, api_version
from .xds import Node

ROOT = "istio-system"
LABEL = "precedence"
# Objects of one wave are made within a second; each wave is younger than the one before.
WAVES = 4
EGRESS_PORT, SERVER_PORT = 15443, 13306
_FIRST_PORT = 20000
_MAYBE = 0.5


@dataclass(frozen=True)
class Places:
    """Namespaces of one set.

    :param app, team: with workloads; C(other) has none.
    :param gate: of the gateways; the root namespace in some sets.
    """

    app: str
    team: str
    other: str
    gate: str

    @classmethod
    def of_slot(cls, slot: int) -> Places:
        return cls(*(f"px-{slot}-{name}" for name in ("app", "team", "other", "gate")))

    @property
    def own(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.app, self.team, self.other, self.gate)))


@dataclass
class Set:
    """One generated set.

    :param objects: by wave.
    :param hosts: that belong to this set alone.
    """

    number: int
    slot: int
    places: Places
    http: bool
    objects: list[list[Object]] = field(default_factory=lambda: [[] for _ in range(WAVES)])

    @property
    def tag(self) -> str:
        return f"s{self.number}"

    @property
    def domain(self) -> str:
        return f"{self.tag}.test.example"

    @property
    def host(self) -> str:
        return f"db.{self.domain}"

    @property
    def server_host(self) -> str:
        return f"srv.{self.domain}"

    @property
    def port(self) -> int:
        return _FIRST_PORT + self.slot * 10

    @property
    def tls_port(self) -> int:
        return self.port + 1

    @property
    def egress(self) -> str:
        return f"egress-{self.tag}.{self.places.gate}.svc.cluster.local"

    @property
    def backend(self) -> str:
        return f"backend-{self.tag}.{self.places.team}.svc.cluster.local"

    @property
    def link(self) -> str:
        return f"link-{self.tag}"

    @property
    def everything(self) -> list[Object]:
        return [item for wave in self.objects for item in wave]

    def is_ours(self, item: Mapping[str, Any]) -> bool:
        return _is_ours(item) and bool(item["metadata"].get("labels", {}).get("set") == self.tag)

    def owns(self, host: str) -> bool:
        namespaces = {self.places.app, self.places.team, self.places.other}
        return (
            host.endswith(f".{self.domain}")
            or host in (self.egress, self.backend)
            or (host.endswith(".svc.cluster.local") and host.split(".")[1] in namespaces)
        )

    @property
    def nodes(self) -> dict[str, Node]:
        third = self.slot + 1
        places = self.places
        return {
            "app": Node(f"app-{self.tag}", places.app, f"10.99.{third}.1", {"app": "shop", "set": self.tag}),
            "team": Node(
                f"team-{self.tag}", places.team, f"10.99.{third}.2", {"app": "db", "set": self.tag}, False, True
            ),
            "egress": Node(f"egress-{self.tag}", places.gate, f"10.99.{third}.3", self._gate_labels("egress"), True),
            "ingress": Node(f"ingress-{self.tag}", places.gate, f"10.99.{third}.4", self._gate_labels("ingress"), True),
        }

    def _gate_labels(self, which: str) -> dict[str, str]:
        return {"istio": f"{which}-{self.tag}", "set": self.tag}

    @property
    def routes(self) -> list[str]:
        """Names of HTTP routes that its proxies may have."""
        found = {str(self.port), str(self.tls_port)}
        for item in self.everything:
            if item["kind"] == "Gateway":
                meta = item["metadata"]
                for server in item["spec"]["servers"]:
                    number, name = server["port"]["number"], server["port"]["name"]
                    bind = f".{server['bind']}" if "bind" in server else ""
                    found.add(f"http.{number}{bind}")
                    found.add(f"https.{number}.{name}.{meta['name']}.{meta['namespace']}{bind}")
        return sorted(found)


class Generator:
    """Makes sets, each from its own seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def make(self, number: int, slot: int) -> Set:
        chance = random.Random(f"{self._seed}/{number}")
        places = Places.of_slot(slot)
        if chance.random() < 0.3:
            places = replace(places, gate=ROOT)
        made = Set(number, slot, places, http=chance.random() < 0.3)
        _Maker(made, chance).fill()
        return made

    def for_root(self, batch: int) -> list[Object]:
        """Objects that count for every set of a batch."""
        chance = random.Random(f"{self._seed}/root/{batch}")
        found = []
        if chance.random() < 0.3:
            found.append(_object("PeerAuthentication", ROOT, "all", {"mtls": {"mode": chance.choice(_MODES)}}))
        if chance.random() < 0.25:
            hosts = chance.choice([["*/*"], ["./*", f"{ROOT}/*"], ["*/*.test.example"], ["~*/nothing.example", "*/*"]])
            found.append(_object("Sidecar", ROOT, "all", {"egress": [{"hosts": hosts}]}))
        if chance.random() < 0.2:
            rule = {"from": [{"source": {"principals": ["cluster.local/ns/nobody/*"]}}]}
            spec = {"action": chance.choice(["DENY", "ALLOW"]), "rules": [rule]}
            found.append(_object("AuthorizationPolicy", ROOT, "all", spec))
        return found


_MODES = ["STRICT", "PERMISSIVE", "DISABLE", "UNSET"]


def _object(kind: str, namespace: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> Object:
    labels = {LABEL: "yes", **metadata.pop("labels", {})}
    return {
        "apiVersion": api_version(kind),
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels, **metadata},
        "spec": dict(spec),
    }


class _Maker:
    """Fills one set."""

    def __init__(self, made: Set, chance: random.Random) -> None:
        self.set, self.chance, self.count = made, chance, 0

    def fill(self) -> None:
        for item in self.ours():
            self.add(item)
        makers: Sequence[tuple[int, Callable[[], Object]]] = (
            (7, self.destination_rule),
            (5, self.virtual_service),
            (4, self.service_entry),
            (2, self.service),
            (3, self.gateway),
            (2, self.authorization_policy),
            (2, self.peer_authentication),
            (1, self.sidecar),
        )
        weights = [weight for weight, _make in makers]
        for _weight, make in self.chance.choices(makers, weights, k=self.chance.randint(3, 9)):
            self.add(make())

    def add(self, item: Object) -> None:
        """Into some wave; of ServiceEntries that only their age tells apart, into one that has none of them."""
        free = [
            wave
            for wave in self.set.objects
            if item["kind"] != "ServiceEntry" or all(_place_of_hosts(other) != _place_of_hosts(item) for other in wave)
        ]
        if free:
            self.chance.choice(free).append(item)

    # -- ours -----------------------------------------------------------------------------------------------------

    def ours(self) -> Iterator[Object]:
        made, gate = self.set, self.set.places.gate
        speech, tls = ("HTTP", "HTTPS") if made.http else ("TCP", "TLS")
        layer = "http" if made.http else "tcp"
        yield self.object("Service", gate, f"egress-{made.tag}", {"ports": [_service_port("tls", EGRESS_PORT)]})
        name = f"{'http' if made.http else 'tcp'}-backend"
        yield self.object(
            "Service", made.places.team, f"backend-{made.tag}", {"ports": [_service_port(name, made.port)]}
        )
        exports = self.chance.choice([None, None, [made.places.app, gate], ["*"], ["."]])
        entry = {
            "hosts": [made.host],
            "addresses": self.chance.choice([[], [f"10.98.{made.slot}.1"]]),
            "location": "MESH_EXTERNAL",
            "resolution": "DNS",
            "ports": [_port(made.port, speech, speech.lower()), _port(made.tls_port, tls, "tls")],
            "endpoints": [{"address": "gate.elsewhere.example"}],
        }
        yield self.object("ServiceEntry", gate, f"{made.link}-external", _exported(entry, exports))
        yield self.object(
            "Gateway",
            gate,
            f"egressgateway-{made.link}",
            self.gateway_spec("egress", EGRESS_PORT, tls, [f"./{made.host}"], {"mode": "ISTIO_MUTUAL"}),
        )
        subset = {
            "name": made.link,
            "trafficPolicy": {
                "portLevelSettings": [
                    {"port": {"number": EGRESS_PORT}, "tls": {"mode": "ISTIO_MUTUAL", "sni": made.host}}
                ]
            },
        }
        yield self.object(
            "DestinationRule", gate, f"egressgateway-for-{made.link}", {"host": made.egress, "subsets": [subset]}
        )
        origin = {
            "mode": "MUTUAL",
            "credentialName": "client-credential",
            "sni": made.host,
            "subjectAltNames": [made.host],
        }
        subset = {
            "name": made.link,
            "trafficPolicy": {"portLevelSettings": [{"port": {"number": made.tls_port}, "tls": origin}]},
        }
        yield self.object(
            "DestinationRule", gate, f"originate-mtls-for-{made.link}", {"host": made.host, "subsets": [subset]}
        )
        gateway = f"egressgateway-{made.link}"
        first = _route(made.egress, EGRESS_PORT, made.link, {"gateways": ["mesh"], "port": made.port})
        second = _route(made.host, made.tls_port, made.link, {"gateways": [gateway], "port": EGRESS_PORT})
        routes = {"hosts": [made.host], "gateways": [gateway, "mesh"], layer: [first, second]}
        yield self.object("VirtualService", gate, f"direct-{made.link}", _exported(routes, exports))
        mode = {"mode": "MUTUAL", "credentialName": f"{made.link}-credential"}
        yield self.object(
            "Gateway",
            gate,
            f"gateway-{made.link}",
            self.gateway_spec("ingress", SERVER_PORT, tls, [f"./{made.server_host}"], mode),
        )
        into = {
            "hosts": [made.server_host],
            "gateways": [f"gateway-{made.link}"],
            layer: [{"route": [{"destination": {"host": made.backend, "port": {"number": made.port}}}]}],
        }
        yield self.object("VirtualService", gate, f"{made.link}-virtual-service", into)

    def gateway_spec(
        self, which: str, port: int, protocol: str, hosts: list[str], tls: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        server: dict[str, Any] = {"port": _port(port, protocol, f"{protocol.lower()}-{self.next()}"), "hosts": hosts}
        if tls is not None:
            server["tls"] = tls
        return {"selector": {"istio": f"{which}-{self.set.tag}"}, "servers": [server]}

    # -- others' --------------------------------------------------------------------------------------------------

    def destination_rule(self) -> Object:
        made, chance = self.set, self.chance
        # Outside its own namespaces a set may not reach hosts of other sets.
        namespace = self.namespace(root=True)
        hosts = [made.host, made.host, f"*.{made.domain}", "*.example", made.egress, made.backend]
        if namespace in made.places.own and namespace != ROOT:
            hosts += ["*.local", f"*.{made.places.team}.svc.cluster.local", "*"]
        else:
            hosts.remove("*.example")
        spec: dict[str, Any] = {"host": chance.choice(hosts)}
        if policy := self.policy():
            spec["trafficPolicy"] = policy
        names = [name for name in (made.link, "v1", "v2") if chance.random() < 0.35]
        if names:
            spec["subsets"] = [self.subset(name) for name in names]
        if chance.random() < 0.3:
            spec["workloadSelector"] = {"matchLabels": self.labels()}
        return self.object("DestinationRule", namespace, f"dr-{self.next()}", _exported(spec, self.exports()))

    def policy(self) -> dict[str, Any] | None:
        made, chance = self.set, self.chance
        kind = chance.randrange(5)
        if kind == 0:
            return None
        if kind == 1:
            return {"connectionPool": {"tcp": {"maxConnections": 100}}}
        if kind == 2:
            return {"tls": self.tls()}
        port = chance.choice([made.port, made.tls_port, EGRESS_PORT])
        settings: dict[str, Any] = {"port": {"number": port}}
        if chance.random() < 0.7:
            settings["tls"] = self.tls()
        else:
            settings["connectionPool"] = {"tcp": {"maxConnections": 100}}
        wide = {"tls": self.tls()} if kind == 3 else {}
        return {"portLevelSettings": [settings], **wide}

    def tls(self) -> dict[str, Any]:
        return self.chance.choice(
            [
                {"mode": "DISABLE"},
                {"mode": "SIMPLE"},
                {"mode": "SIMPLE", "sni": "foreign.example"},
                {"mode": "SIMPLE", "credentialName": "foreign"},
                {"mode": "MUTUAL", "credentialName": "foreign", "sni": "foreign.example"},
                {"mode": "MUTUAL", "clientCertificate": "/c.pem", "privateKey": "/k.pem", "caCertificates": "/r.pem"},
                {"mode": "ISTIO_MUTUAL"},
                {"mode": "ISTIO_MUTUAL", "sni": "foreign.example"},
            ]
        )

    def subset(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {"name": name}
        if self.chance.random() < 0.2:
            found["labels"] = {"version": self.chance.choice(["v1", "v2"])}
        if policy := self.policy():
            found["trafficPolicy"] = policy
        return found

    def virtual_service(self) -> Object:
        made, chance = self.set, self.chance
        namespace = self.namespace(root=True)
        host = chance.choice([made.host, made.host, f"*.{made.domain}", made.server_host, made.egress, made.backend])
        gate = made.places.gate
        ours = [f"{gate}/egressgateway-{made.link}", f"{gate}/gateway-{made.link}"]
        spec: dict[str, Any] = {"hosts": [host]}
        gateways = [name for name in (*ours, "mesh") if chance.random() < _MAYBE]
        if gateways:
            spec["gateways"] = gateways
        layer = chance.choices(["tcp", "http", "tls"], [6, 6 if made.http else 2, 2])[0]
        spec[layer] = [self.route(layer) for _ in range(chance.randint(1, 2))]
        return self.object("VirtualService", namespace, f"vs-{self.next()}", _exported(spec, self.exports()))

    def route(self, layer: str) -> dict[str, Any]:
        made, chance = self.set, self.chance
        destination: dict[str, Any] = {
            "host": chance.choice([made.host, f"thief.{made.domain}", made.backend, made.egress])
        }
        if chance.random() < 0.7:
            destination["port"] = {"number": chance.choice([made.port, made.tls_port, EGRESS_PORT])}
        if chance.random() < 0.3:
            destination["subset"] = chance.choice([made.link, "v1"])
        found: dict[str, Any] = {"route": [{"destination": destination}]}
        matches = (
            [self.match(layer) for _ in range(chance.randint(1, 2))] if chance.random() < 0.6 or layer == "tls" else []
        )
        return {**found, "match": matches} if matches else found

    def match(self, layer: str) -> dict[str, Any]:
        made, chance = self.set, self.chance
        found: dict[str, Any] = {}
        if chance.random() < 0.4:
            found["port"] = chance.choice([made.port, made.tls_port, EGRESS_PORT, SERVER_PORT])
        if chance.random() < 0.3:
            gate = made.places.gate
            found["gateways"] = [
                chance.choice(["mesh", f"{gate}/egressgateway-{made.link}", f"{gate}/gateway-{made.link}"])
            ]
        if chance.random() < 0.2:
            found["sourceLabels"] = self.labels()
        if chance.random() < 0.2:
            found["sourceNamespace"] = chance.choice([made.places.app, made.places.team])
        if layer == "tls":
            found["sniHosts"] = [chance.choice([made.host, f"*.{made.domain}"])]
        elif layer == "tcp" and chance.random() < 0.2:
            found["destinationSubnets"] = [chance.choice([f"10.98.{made.slot}.0/24", f"10.98.{made.slot}.1/32"])]
        elif layer == "http" and chance.random() < _MAYBE:
            found.update(
                chance.choice([{"uri": {"prefix": "/x"}}, {"uri": {"prefix": "/"}}, {"method": {"exact": "GET"}}])
            )
        return found

    def service_entry(self) -> Object:
        made, chance = self.set, self.chance
        host = chance.choice([made.host, made.host, f"rival-{self.next()}.{made.domain}", f"thief.{made.domain}"])
        addresses = chance.choice(
            [[], [], [f"10.98.{made.slot}.1"], [f"10.98.{made.slot}.{self.next() + 1}"], [f"10.98.{made.slot}.0/24"]]
        )
        protocol = chance.choice(["TCP", "TCP", "HTTP", "TLS", "MYSQL", "HTTPS", "MONGO"])
        ports = [_port(made.port, protocol, "first")]
        if chance.random() < _MAYBE:
            ports.append(_port(made.tls_port, chance.choice(["TLS", "TCP", "HTTP"]), "second"))
        resolution = chance.choice(["STATIC", "NONE"] if "/" in "".join(addresses) else ["DNS", "STATIC", "NONE"])
        spec: dict[str, Any] = {
            "hosts": [host],
            "addresses": addresses,
            "location": chance.choice(["MESH_EXTERNAL", "MESH_INTERNAL"]),
            "resolution": resolution,
            "ports": ports,
        }
        if resolution == "STATIC" or (resolution == "DNS" and chance.random() < _MAYBE):
            address = "10.97.0.1" if resolution == "STATIC" else "foreign.example"
            labels = {"labels": {"version": "v1"}} if chance.random() < _MAYBE else {}
            spec["endpoints"] = [{"address": address, **labels}]
        return self.object(
            "ServiceEntry", self.namespace(root=True), f"se-{self.next()}", _exported(spec, self.exports())
        )

    def service(self) -> Object:
        made, chance = self.set, self.chance
        name = chance.choice(["tcp-own", "http-own", "own", "mysql-own"])
        spec: dict[str, Any] = {"ports": [_service_port(name, made.port)]}
        if chance.random() < 0.3:
            spec["clusterIP"] = "None"
        annotations = {"networking.istio.io/exportTo": chance.choice(["*", ".", "~"])} if chance.random() < 0.3 else {}
        places = made.places
        namespace = chance.choice([places.app, places.team, places.other])
        return self.object("Service", namespace, f"svc-{self.next()}", spec, annotations=annotations)

    def gateway(self) -> Object:
        made, chance = self.set, self.chance
        which = chance.choice(["egress", "ingress"])
        host = made.host if which == "egress" else made.server_host
        port = chance.choice([EGRESS_PORT if which == "egress" else SERVER_PORT] * 3 + [8443])
        hosts = chance.choice(
            [[host], [f"./{host}"], [f"*/{host}"], [f"{made.places.other}/{host}"], [f"*.{made.domain}"], ["*"]]
        )
        if chance.random() < 0.2:
            hosts.append(f"extra.{made.domain}")
        protocol = chance.choice(["TLS", "HTTPS", "TCP", "HTTP", "TLS"])
        tls: Mapping[str, Any] | None = None
        if protocol in ("TLS", "HTTPS"):
            tls = chance.choice(
                [{"mode": "ISTIO_MUTUAL"}, {"mode": "PASSTHROUGH"}, {"mode": "SIMPLE", "credentialName": "foreign"}]
            )
        spec = self.gateway_spec(which, port, protocol, hosts, tls)
        if chance.random() < 0.1:
            spec["servers"][0]["bind"] = "192.0.2.1"
        return self.object("Gateway", self.namespace(root=True), f"gw-{self.next()}", spec)

    def authorization_policy(self) -> Object:
        made, chance = self.set, self.chance
        namespace = self.namespace(root=True)
        spec: dict[str, Any] = {"action": chance.choice(["ALLOW", "DENY", "ALLOW", "DENY", "AUDIT"])}
        if namespace == ROOT:
            spec["selector"] = {"matchLabels": {"set": made.tag}}
        elif chance.random() < _MAYBE:
            spec["selector"] = {"matchLabels": self.labels()}
        if chance.random() < 0.9:
            spec["rules"] = [self.rule() for _ in range(chance.randint(1, 2))]
        return self.object("AuthorizationPolicy", namespace, f"ap-{self.next()}", spec)

    def rule(self) -> dict[str, Any]:
        made, chance = self.set, self.chance
        places = made.places
        sources: list[dict[str, Any]] = [
            {"namespaces": [places.app]},
            {"notNamespaces": [places.team]},
            {"namespaces": ["px-*-app"]},
            {"principals": [f"cluster.local/ns/{places.app}/sa/shop"]},
            {"principals": ["*/sa/shop"]},
            {"principals": ["*"]},
            {"notPrincipals": [f"cluster.local/ns/{places.app}/*"]},
            {"serviceAccounts": [f"{places.app}/shop"]},
            {"requestPrincipals": ["*"]},
        ]
        operations: list[dict[str, Any]] = [
            {"ports": [str(EGRESS_PORT)]},
            {"notPorts": [str(SERVER_PORT)]},
            {"ports": [str(made.port)]},
            {"paths": ["/x*"]},
            {"hosts": [made.host], "ports": [str(EGRESS_PORT)]},
        ]
        conditions: list[dict[str, Any]] = [
            {"key": "connection.sni", "values": [made.host]},
            {"key": "connection.sni", "notValues": [f"*.{made.domain}"]},
            {"key": "destination.port", "values": [str(EGRESS_PORT)]},
            {"key": "source.namespace", "notValues": [places.app]},
        ]
        found: dict[str, Any] = {}
        if chance.random() < 0.6:
            found["from"] = [{"source": source} for source in chance.sample(sources, chance.randint(1, 2))]
        if chance.random() < _MAYBE:
            found["to"] = [{"operation": operation} for operation in chance.sample(operations, 1)]
        if chance.random() < 0.4:
            found["when"] = chance.sample(conditions, 1)
        return found

    def peer_authentication(self) -> Object:
        made, chance = self.set, self.chance
        namespace = chance.choice([made.places.app, made.places.team])
        spec: dict[str, Any] = {}
        if chance.random() < 0.9:
            spec["mtls"] = {"mode": chance.choice(_MODES)}
        if chance.random() < _MAYBE:
            spec["selector"] = {"matchLabels": self.labels()}
            if chance.random() < _MAYBE:
                spec["portLevelMtls"] = {str(made.port): {"mode": chance.choice(_MODES)}}
        return self.object("PeerAuthentication", namespace, f"pa-{self.next()}", spec)

    def sidecar(self) -> Object:
        made, chance = self.set, self.chance
        places = made.places
        hosts = chance.sample(
            [
                "./*",
                "*/*",
                f"{places.gate}/*",
                f"*/{made.host}",
                f"{places.gate}/{made.host}",
                f"~*/{made.host}",
                f"{places.gate}/{made.egress}",
                f"*/*.{made.domain}",
                "*/*.local",
            ],
            chance.randint(1, 3),
        )
        if all(host.startswith("~") for host in hosts):
            hosts.append("*/*")
        egress: list[dict[str, Any]] = [{"hosts": hosts}]
        if chance.random() < 0.2:
            port = _port(made.port, chance.choice(["TCP", "HTTP"]), "listener")
            egress.insert(0, {"port": port, "hosts": [chance.choice(["*/*", "./*", f"{places.gate}/*"])]})
        spec: dict[str, Any] = {"egress": egress}
        if chance.random() < 0.4:
            spec["workloadSelector"] = {"labels": self.labels()}
        return self.object("Sidecar", chance.choice([places.app, places.team]), f"sc-{self.next()}", spec)

    # -- parts ----------------------------------------------------------------------------------------------------

    def object(self, kind: str, namespace: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> Object:
        labels = {"set": self.set.tag}
        if namespace == ROOT and not name.endswith(self.set.tag):
            name = f"{name}-{self.set.tag}"
        return _object(kind, namespace, name, spec, labels=labels, **metadata)

    def namespace(self, *, root: bool) -> str:
        places = self.set.places
        return self.chance.choice([*places.own, places.gate, places.app, *([ROOT] if root else [])])

    def exports(self) -> list[str] | None:
        places = self.set.places
        return self.chance.choice(
            [
                None,
                None,
                None,
                ["*"],
                ["."],
                ["~"],
                [places.app],
                [places.gate],
                [places.app, places.gate, "."],
                ["*", "."],
            ]
        )

    def labels(self) -> dict[str, str]:
        tag = self.set.tag
        return self.chance.choice(
            [{"app": "shop"}, {"app": "db"}, {"istio": f"egress-{tag}"}, {"set": tag}, {"app": "nobody"}]
        )

    def next(self) -> int:
        self.count += 1
        return self.count


def _is_ours(item: Mapping[str, Any]) -> bool:
    """By its name; those of others are numbered."""
    return any(part in item["metadata"]["name"] for part in ("link-s", "egress-s", "backend-s"))


def _place_of_hosts(item: Object) -> tuple[str, object, str]:
    return item["kind"], item["spec"].get("hosts"), item["metadata"]["namespace"]


def _port(number: int, protocol: str, name: str) -> dict[str, Any]:
    return {"number": number, "protocol": protocol, "name": name}


def _service_port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": number}


def _route(host: str, port: int, subset: str, match: Mapping[str, Any]) -> dict[str, Any]:
    destination = {"host": host, "port": {"number": port}, "subset": subset}
    return {"match": [dict(match)], "route": [{"destination": destination}]}


def _exported(spec: dict[str, Any], exports: Sequence[str] | None) -> dict[str, Any]:
    return spec if exports is None else {**spec, "exportTo": list(exports)}
