# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lies: one field of one answer, or one answer, changed. What there is to change comes of honest answers. Pure."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Literal

from .forged import GATEWAYS, Forged
from .server import Answer, Asked

__all__ = ["Liar", "Lie", "Recorded", "World", "draw"]

Json = dict[str, Any]
Step = str | int
Pointer = tuple[Step, ...]
# Those that a run may take for the truth; those that it cannot read; those that take time.
Sort = Literal["sly", "rude", "slow"]

_ABSENT = object()
_OURS = {"app.kubernetes.io/managed-by": "crossmesh", "crossmesh/instance": "default"}
ESCAPE = "\x1b[2J\x1b[1;1HALL CLUSTERS OK\x07\x9b31m"
BIDI = "\u202eKO\u2066"


@dataclass(frozen=True)
class World:
    """What lies are made of.

    :param trap: URL of a server that is nobody's.
    :param token: the credential of this cluster, which its API server knows.
    :param marker: a file that no run makes.
    """

    forged: Forged
    cluster: str
    trap: str
    token: str
    marker: str


@dataclass(frozen=True)
class Recorded:
    asked: Asked
    answer: Answer


@dataclass(frozen=True)
class Lie:
    """:param pointer: of the field; empty for the answer as a whole.
    :param once: whether the first answer alone is changed, of several to one request.
    """

    name: str
    sort: Sort
    asked: Asked
    pointer: Pointer
    change: str
    once: bool

    @property
    def field(self) -> str:
        """The field in words, wherever it is in a list."""
        return "/".join("*" if isinstance(step, int) else step for step in self.pointer)

    def __str__(self) -> str:
        where = "/".join(map(str, self.pointer)) or "the whole answer"
        return (
            f"{self.name}: {self.asked.kind}, {where}: {self.change}{' once' if self.once else ''} ({self.asked.key})"
        )


@dataclass
class Liar:
    """Answers a run with these lies.

    :param told: those that were told.
    """

    lies: Sequence[Lie]
    world: World
    told: set[Lie] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked, answer: Answer) -> Answer:
        for lie in self.lies:
            if lie.asked == asked:
                with self._lock:
                    if lie.once and lie in self.told:
                        continue
                    changed = _changed(lie, answer, self.world)
                    if changed is None:
                        continue
                    self.told.add(lie)
                answer = changed
        return answer


# -- values --------------------------------------------------------------------------------------------------------

Value = Callable[[Any, World], Any]


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _and(pem: Any, more: str) -> str:
    return _b64(base64.b64decode(pem).decode(errors="replace") + more) if isinstance(pem, str) else _b64(more)


_RUDE: Mapping[str, Value] = {
    "absent": lambda _value, _world: _ABSENT,
    "null": lambda _value, _world: None,
    "text": lambda value, _world: "x" if not isinstance(value, str) else "another text",
    "number": lambda _value, _world: 7,
    "list": lambda _value, _world: ["x", None, {}],
    "mapping": lambda _value, _world: {"x": None},
    "true": lambda _value, _world: True,
    "in a list": lambda value, _world: [value],
    "empty": lambda value, _world: type(value)() if value is not None else "",
    "huge number": lambda _value, _world: 10**400,
    "infinite": lambda _value, _world: float("inf"),
    "negative": lambda _value, _world: -1,
    "escapes": lambda value, _world: {ESCAPE: ESCAPE} if isinstance(value, dict) else ESCAPE,
    "escapes behind": lambda value, _world: f"{value if isinstance(value, str) else ''}{ESCAPE}",
    "bidi": lambda value, _world: f"{BIDI}{value if isinstance(value, str) else ''}",
    "surrogate": lambda _value, _world: "\ud800",
    "zero byte": lambda _value, _world: "a\x00b",
    "template": lambda _value, world: "{{ lookup('pipe', 'touch " + world.marker + "') }}",
    "long": lambda _value, _world: "A" * 1_000_000,
    "deep": lambda _value, _world: json.loads("[" * 400 + "]" * 400),
    "path": lambda _value, _world: "../../../../etc/passwd",
    "not base64": lambda _value, _world: "%%%",
    "items of null": lambda value, _world: [None] if isinstance(value, list) else {"items": None},
}


def _labels(**changes: str) -> Value:
    def made(value: Any, world: World) -> Any:
        ours = {**_OURS, "crossmesh/cluster": world.cluster, "crossmesh/side": "client", "crossmesh/link": "mysql"}
        return {
            **(value if isinstance(value, dict) else {}),
            **ours,
            **{f"crossmesh/{k}": v for k, v in changes.items()},
        }

    return made


def _manager(manager: str, root: str = "f:spec") -> Value:
    def made(value: Any, _world: World) -> Any:
        entry = {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {root: {}}}
        return [*(value if isinstance(value, list) else ()), entry]

    return made


def _with(**content: Any) -> Value:
    return lambda value, _world: {**value, **content} if isinstance(value, dict) else _ABSENT


def _forged_secret(value: Any, world: World) -> Any:
    forged = world.forged
    if not isinstance(value, dict) or "ca.crt" not in value:
        return _ABSENT
    trust = _and(value["ca.crt"], forged.root)
    return {**value, "tls.crt": _b64(forged.leaf), "tls.key": _b64(forged.key), "ca.crt": trust}


def _one_of_others(value: Any, world: World) -> Any:
    """An object of others, said to be ours."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return [{"metadata": {"name": "x", "namespace": "tenant", "labels": _labels()({}, world)}, "spec": {}}]
    item = copy.deepcopy(value[0])
    names = ("shop", "cacerts", "x")
    return [*value, *(_named(item, name, GATEWAYS if name == "cacerts" else "tenant", world) for name in names)]


def _named(item: Json, name: str, namespace: str, world: World) -> Json:
    metadata = {**item.get("metadata", {}), "name": name, "namespace": namespace, "labels": _labels()({}, world)}
    return {**item, "metadata": metadata}


# By the last step of a field: what a liar would say there.
_SLY: Mapping[str, Mapping[str, Value]] = {
    "tls.crt": {
        "a certificate of the liar's root with all names": lambda _v, w: _b64(w.forged.leaf),
        "a certificate of nobody with all names": lambda _v, w: _b64(w.forged.bare),
        "the certificate of another cluster": lambda _v, w: _b64(w.forged.elsewhere),
        "the liar's root": lambda _v, w: _b64(w.forged.root),
        "with another behind it": lambda v, w: _and(v, w.forged.leaf),
        "with another before it": lambda v, w: _b64(w.forged.leaf + base64.b64decode(v).decode()),
        "cut off": lambda v, _w: _b64(base64.b64decode(v).decode()[:300]),
    },
    "tls.key": {
        "another key": lambda _v, w: _b64(w.forged.key),
        "no key": lambda _v, _w: _b64("no key"),
        "a certificate": lambda _v, w: _b64(w.forged.leaf),
    },
    "ca.crt": {
        "with the liar's root": lambda v, w: _and(v, w.forged.root),
        "the liar's root alone": lambda _v, w: _b64(w.forged.root),
        "a leaf": lambda _v, w: _b64(w.forged.leaf),
        "nothing": lambda _v, _w: _b64(""),
        "the root a thousand times": lambda v, _w: _b64(base64.b64decode(v).decode() * 1000),
    },
    "ca.crl": {
        "the liar's": lambda _v, w: _b64(w.forged.crl),
        "with the liar's": lambda v, w: _and(v, w.forged.crl),
        "nothing": lambda _v, _w: _b64(""),
    },
    "data": {
        "forged as a whole": _forged_secret,
        "a list of the liar's": lambda v, w: {**v, "ca.crl": _b64(w.forged.crl)} if isinstance(v, dict) else _ABSENT,
        "the mesh's root is the liar's": lambda v, w: (
            {**v, "root-cert.pem": w.forged.root} if isinstance(v, dict) else _ABSENT
        ),
    },
    "labels": {
        "ours": _labels(),
        "ours, of a server": _labels(side="server"),
        "ours, of another cluster": _labels(cluster="server"),
        "ours, of another instance": _labels(instance="another"),
        "ours, of another link": _labels(link="bank"),
        "ours, of a link that is none": _labels(link="nothing"),
    },
    "managedFields": {
        "without a manager": lambda _v, _w: [{"operation": "Apply", "fieldsV1": {}}],
        "null": lambda _v, _w: None,
        "none": lambda _v, _w: [],
        "ours as well": lambda v, w: _manager(f"crossmesh-default-{w.cluster}-client")(v, w),
        "of everybody": lambda v, w: _manager("somebody", "f:data")(v, w),
        "a port without a number": lambda _v, _w: [{"manager": "x", "fieldsV1": {"f:spec": {"f:ports": {"k:{}": {}}}}}],
        "a port that is no JSON": lambda _v, _w: [{"manager": "x", "fieldsV1": {"f:spec": {"f:ports": {"k:x": {}}}}}],
    },
    "manager": {"ours": lambda _v, w: f"crossmesh-default-{w.cluster}-client", "of others": lambda _v, _w: "somebody"},
    "metadata": {
        "being deleted": _with(deletionTimestamp="2020-01-01T00:00:00Z"),
        "being deleted and held": _with(deletionTimestamp="2020-01-01T00:00:00Z", finalizers=["example.org/hold"]),
        "held": _with(finalizers=["example.org/hold"]),
        "owned": _with(
            ownerReferences=[{"kind": "Shop", "name": "x", "apiVersion": "v1", "uid": "x", "controller": True}]
        ),
        "owned by nothing": _with(ownerReferences=[{}]),
        "of others": _with(name="x", namespace="tenant"),
        "made long ago": _with(creationTimestamp="1970-01-01T00:00:00Z"),
        "without labels": _with(labels=None),
    },
    "name": {"of others": lambda _v, _w: "x", "of another link": lambda _v, _w: "bank-credential"},
    "namespace": {"of others": lambda _v, _w: "tenant", "of the system": lambda _v, _w: "kube-system"},
    "uid": {"of another cluster": lambda _v, w: w.forged.server_uid, "another": lambda _v, _w: "another"},
    "resourceVersion": {"another": lambda _v, _w: "999999", "none": lambda _v, _w: ""},
    "serial_number": {
        "of another cluster": lambda _v, w: w.forged.serial,
        "none": lambda _v, _w: "",
        "another": lambda _v, _w: "abcdef",
    },
    "uri": {"of another mesh": lambda _v, _w: "spiffe://server/ns/default/sa/x", "short": lambda _v, _w: "spiffe://"},
    "inline_bytes": {
        "the liar's root": lambda _v, w: _b64(w.forged.root),
        "with the liar's root": lambda v, w: _and(v, w.forged.root),
        "nothing": lambda _v, _w: "",
    },
    "port": {"of SSH": lambda _v, _w: 22, "0": lambda _v, _w: 0, "too large": lambda _v, _w: 70000},
    "number": {"of SSH": lambda _v, _w: 22, "0": lambda _v, _w: 0, "too large": lambda _v, _w: 70000},
    "targetPort": {"of SSH": lambda _v, _w: 22, "a name": lambda _v, _w: "ssh"},
    "ip": {"of another machine": lambda _v, _w: "127.0.9.9", "a name": lambda _v, _w: "localhost"},
    "ports": {
        "one more": lambda v, _w: (
            [*v, {"port": 22, "name": "tls-22", "protocol": "TCP"}] if isinstance(v, list) else _ABSENT
        )
    },
    "hosts": {"of another link": lambda _v, _w: ["bank.server.example.com"], "all": lambda _v, _w: ["*"]},
    "selector": {"everything": lambda _v, _w: {}, "nothing": lambda _v, _w: {"app": "nothing"}},
    "credentialName": {"of others": lambda _v, _w: "cacerts", "of another link": lambda _v, _w: "bank-credential"},
    "spec": {
        "immutable": _with(immutable=True),
        "of nothing": lambda _v, _w: {},
        "with more": _with(more={"x": 1}),
    },
    "items": {
        "one of others as ours": _one_of_others,
        "none": lambda _v, _w: [],
        "twice": lambda v, _w: [*v, *v] if isinstance(v, list) else _ABSENT,
        "a thousand times": lambda v, _w: v[:1] * 1000 if isinstance(v, list) else _ABSENT,
    },
    "mesh": {
        "bombs": lambda _v, _w: (
            "a: &a [x,x,x,x,x,x,x,x]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True))
        ),
        "of another root": lambda _v, _w: "rootNamespace: tenant\n",
        "of a tag": lambda _v, _w: "!!python/object/apply:os.system ['true']",
    },
    "username": {"nobody": lambda _v, _w: "system:anonymous"},
    "allowed": {"false": lambda _v, _w: False},
    "gitVersion": {"old": lambda _v, _w: "v1.10.0"},
    "status": {"False": lambda v, _w: "False" if v == "True" else _ABSENT},
    "address": {"of another machine": lambda v, _w: "127.0.9.9" if isinstance(v, str) else _ABSENT},
    "exact": {"another name": lambda _v, _w: "x.link.crossmesh.internal"},
    "sni": {"another name": lambda _v, _w: "bank.server.example.com"},
    "kind": {"another": lambda _v, _w: "Status", "of Secrets": lambda _v, _w: "Secret"},
    "apiVersion": {"another": lambda _v, _w: "v9"},
}


# -- whole answers -------------------------------------------------------------------------------------------------

Whole = Callable[[Answer, World], Answer]


def _refused(code: int, **headers: str) -> Whole:
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Gone", 422: "Invalid"}

    def made(answer: Answer, _world: World) -> Answer:
        told = {"kind": "Status", "status": "Failure", "message": f"refused {ESCAPE}", "code": code}
        return replace(
            answer, status=code, body={**told, "reason": reasons.get(code, "InternalError")}, headers=headers
        )

    return made


def _echo(answer: Answer, world: World) -> Answer:
    """A message that repeats what it was sent, or what it keeps."""
    told = f"denied: Authorization: Bearer {world.token}\n{json.dumps(answer.body)}"
    return replace(answer, status=422, body={"kind": "Status", "message": told, "reason": told, "code": 422})


def _raw(content: bytes, **headers: str) -> Whole:
    return lambda answer, _world: replace(answer, status=200, raw=content, headers=headers)


def _date(value: str | float) -> Whole:
    def made(answer: Answer, _world: World) -> Answer:
        date = value if isinstance(value, str) else formatdate(time.time() + value, usegmt=True)
        return replace(answer, headers={"Date": date})

    return made


def _redirected(code: int) -> Whole:
    return lambda answer, world: replace(answer, status=code, body={}, headers={"Location": f"{world.trap}/x"})


_RUDE_ANSWERS: Mapping[str, Whole] = {
    **{f"status {code}": _refused(code) for code in (401, 403, 404, 409, 410, 422, 500, 503)},
    "status 429": _refused(429, **{"Retry-After": "1"}),
    "status 429 without end": _refused(429, **{"Retry-After": "99999999999999999999"}),
    "status 429 at another time": _refused(429, **{"Retry-After": "Mon, 99 Foo 2026"}),
    "status 503, come back": _refused(503, **{"Retry-After": "1"}),
    "status 100": lambda a, _w: replace(a, status=204, raw=b""),
    "status 999": lambda a, _w: replace(a, status=999),
    "echo": _echo,
    "redirect 301": _redirected(301),
    "redirect 307": _redirected(307),
    "cut off": lambda a, _w: replace(a, cut=True),
    "empty": _raw(b""),
    "no JSON": _raw(b"<html>\x1b[2Jno API server</html>", **{"Content-Type": "text/html"}),
    "no UTF-8": _raw(b'{"items": ["\xff\xfe"], "metadata": "\xc3\x28"}'),
    "deep JSON": _raw(b"[" * 200_000),
    "a number": _raw(b"7"),
    "null": _raw(b"null"),
    "a list": _raw(b"[]"),
    "a text": _raw(b'"text"'),
    "true": _raw(b"true"),
    "NaN": _raw(b"NaN"),
    "large": _raw(b'{"items": [' + b'{"metadata": {}},' * 300_000 + b"null]}"),
    "a Status": _raw(json.dumps({"kind": "Status", "status": "Failure", "message": ESCAPE, "code": 500}).encode()),
    "gzip that is none": lambda a, _w: replace(a, headers={"Content-Encoding": "gzip"}),
    "gzip of zeros": lambda a, _w: replace(
        a, raw=gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"}
    ),
    "two lengths": lambda a, _w: replace(a, headers={"Content-Length": "7"}),
    "no length": lambda a, _w: replace(a, headers={"Content-Length": "x"}),
    "many headers": lambda a, _w: replace(a, headers={f"X-{n}": "x" * 100 for n in range(300)}),
    "a header of escapes": lambda a, _w: replace(a, headers={"Warning": f'299 - "{ESCAPE}"', "Content-Type": ESCAPE}),
}
_SLY_ANSWERS: Mapping[str, Whole] = {
    "three hours ahead": _date(3 * 3600.0),
    "three hours behind": _date(-3 * 3600.0),
    "another century": _date("Fri, 31 Dec 9999 23:59:59 GMT"),
    "no date": _date("tomorrow"),
    "a warning": lambda a, _w: replace(a, headers={"Warning": '299 - "do this: {{ 7 * 7 }}"'}),
    "another type": lambda a, _w: replace(a, headers={"Content-Type": "application/yaml"}),
    "a cookie": lambda a, _w: replace(a, headers={"Set-Cookie": "a=b", "Connection": "close"}),
}
_SLOW_ANSWERS: Mapping[str, Whole] = {
    "byte by byte": lambda a, _w: replace(a, trickle=0.5),
    "no answer": lambda a, _w: replace(a, raw=b"", headers={"Content-Length": "100"}, trickle=0.0, cut=False),
}
_ANSWERS: Mapping[str, Whole] = {**_RUDE_ANSWERS, **_SLY_ANSWERS, **_SLOW_ANSWERS}


# -- telling -------------------------------------------------------------------------------------------------------


def _changed(lie: Lie, answer: Answer, world: World) -> Answer | None:
    if not lie.pointer:
        return _ANSWERS[lie.change](answer, world)
    body = copy.deepcopy(answer.body)
    place = _at(body, lie.pointer[:-1])
    last = lie.pointer[-1]
    if place is _ABSENT or _at(place, (last,)) is _ABSENT:
        return None
    value = _value(lie)(place[last], world)
    if value is _ABSENT:
        del place[last]
    else:
        place[last] = value
    return replace(answer, body=body)


def _value(lie: Lie) -> Value:
    return _RUDE[lie.change] if lie.sort == "rude" else _SLY[str(lie.pointer[-1])][lie.change]


def _at(value: Any, pointer: Pointer) -> Any:
    for step in pointer:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return _ABSENT
        elif not isinstance(value, dict) or step not in value:
            return _ABSENT
        value = value[step]
    return value


# -- drawing -------------------------------------------------------------------------------------------------------


def draw(name: str, recorded: Sequence[Recorded], seed: int) -> Iterator[Lie]:
    """Lies without end: every kind of answer as often, every field of it as often.

    :param name: of what was recorded; the same with the same seed gives the same lies.
    """
    chance = random.Random(f"{name} {seed}")
    by_kind: dict[str, dict[str, Recorded]] = {}
    for found in recorded:
        by_kind.setdefault(found.asked.kind, {}).setdefault(found.asked.key, found)
    places = {kind: _places(list(answers.values())) for kind, answers in sorted(by_kind.items())}
    number = 0
    while True:
        for kind in sorted(places, key=lambda _kind: chance.random()):
            number += 1
            sort: Sort = chance.choices(("sly", "rude", "slow"), (60, 40, 1))[0]
            yield _lie(f"{name}-{seed}-{number}", sort, places[kind], list(by_kind[kind].values()), chance)


# Fields, wherever they are in lists, with where they are.
_Places = Mapping[str, Sequence[tuple[Asked, Pointer]]]


def _lie(name: str, sort: Sort, places: _Places, answers: Sequence[Recorded], chance: random.Random) -> Lie:
    once = chance.random() < 0.25
    sly = [field for field in places if field.rpartition("/")[2] in _SLY]
    if (
        sort == "slow"
        or not places
        or chance.random() < (0.15 if sort == "sly" and sly else 0.25)
        or (sort == "sly" and not sly)
    ):
        changes = {"slow": _SLOW_ANSWERS, "rude": _RUDE_ANSWERS, "sly": _SLY_ANSWERS}[sort]
        return Lie(name, sort, chance.choice(answers).asked, (), chance.choice(sorted(changes)), once)
    where = chance.choice(sorted(sly if sort == "sly" else places))
    asked, pointer = chance.choice(places[where])
    known = _SLY[str(pointer[-1])] if sort == "sly" else _RUDE
    return Lie(name, sort, asked, pointer, chance.choice(sorted(known)), once)


def _places(answers: Sequence[Recorded]) -> _Places:
    found: dict[str, list[tuple[Asked, Pointer]]] = {}
    for answer in answers:
        for pointer in _pointers(answer.answer.body, ()):
            name = "/".join("*" if isinstance(step, int) else step for step in pointer)
            found.setdefault(name, []).append((answer.asked, pointer))
    return found


def _pointers(value: Any, above: Pointer) -> Iterator[Pointer]:
    if above:
        yield above
    steps: Sequence[Step] = (
        range(len(value)) if isinstance(value, list) else sorted(value) if isinstance(value, dict) else ()
    )
    for step in steps:
        # What manages a field is told by names of fields: a few of them are enough.
        if above[-1:] != ("fieldsV1",) or step == "f:spec":
            yield from _pointers(value[step], (*above, step))
