# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handshakes with small TLS servers on loopback: whom they let in is told as it is, and by what they say next."""

from __future__ import annotations

import importlib.util
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster import handshake
from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.handshake import Endpoint, presented, shake
from ansible_collections.crossmesh.mtls.plugins.module_utils._pki.x509 import Leaf, parse_certificates
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe import handshakes
from ansible_collections.crossmesh.mtls.plugins.module_utils._probe.handshakes import Server, shake_hands, stranger
from tests.unit.pki.support import Root, make_leaf, make_root
from tests.unit.support import codes_of

NOW = datetime.now(UTC)
FQDN = "mysql.server.example.com"
ROOT, OTHER = make_root(now=NOW), make_root(now=NOW)
LEAF = make_leaf(ROOT, now=NOW)
CLIENT = make_leaf(ROOT, role="client", sans=["mysql.link.crossmesh.internal"], now=NOW)
STRANGER = stranger(["mysql.link.crossmesh.internal"], NOW)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "TIMEOUT", 1.0)
    monkeypatch.setattr(handshake, "LONGER", 1.0)


@contextmanager
def tls_server(
    folder: Path,
    leaf: Leaf = LEAF,
    *,
    asks: ssl.VerifyMode = ssl.CERT_REQUIRED,
    says: bytes = b"",
    closes: bool = False,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    tickets: int = 2,
    patience: float | None = None,
) -> Iterator[Endpoint]:
    """One that trusts clients of ROOT; after a handshake it says something, waits (for so long) or closes."""
    (folder / "leaf.pem").write_text(leaf.certificate_pem + leaf.key_pem.decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    context.load_verify_locations(cadata=ROOT.view.pem)
    context.verify_mode, context.maximum_version = asks, newest
    context.num_tickets = tickets

    def talk(way: socket.socket) -> None:
        try:
            with context.wrap_socket(way, server_side=True) as session:
                session.sendall(says)
                session.settimeout(patience)
                if not closes:
                    session.recv(1)
        except OSError:
            way.close()

    with accepting(talk) as endpoint:
        yield endpoint


@contextmanager
def accepting(talk: Callable[[socket.socket], None]) -> Iterator[Endpoint]:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                way, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(way,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Endpoint("127.0.0.1", listener.getsockname()[1], FQDN)
    finally:
        # A thread in accept() does not see that its socket was closed.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def pem(leaf: Leaf) -> str:
    return leaf.certificate_pem + leaf.key_pem.decode()


VERSIONS = pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
def test_a_server_that_asks_for_a_certificate_refuses_whoever_has_none_of_the_ca(
    tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    with tls_server(tmp_path, newest=newest) as endpoint:
        assert shake(endpoint, ROOT.view.pem).outcome == "refused"
        assert shake(endpoint, ROOT.view.pem, STRANGER).outcome == "refused"
        # The control: whom the CA has certified is let in, and the server waits for the first word.
        assert shake(endpoint, ROOT.view.pem, pem(CLIENT)).outcome == "completed"


@VERSIONS
@pytest.mark.parametrize(("says", "outcome"), [(b"", "completed"), (b"\x4a", "accepted")])
def test_a_server_that_asks_for_nothing_lets_everybody_in(
    tmp_path: Path, newest: ssl.TLSVersion, says: bytes, outcome: str
) -> None:
    with tls_server(tmp_path, asks=ssl.CERT_NONE, says=says, newest=newest) as endpoint:
        assert shake(endpoint, ROOT.view.pem).outcome == outcome


def test_silence_is_waited_for_where_nothing_shows_that_the_server_has_looked(tmp_path: Path) -> None:
    with tls_server(tmp_path, asks=ssl.CERT_NONE, tickets=0) as endpoint:
        assert shake(endpoint, ROOT.view.pem, patient=True).outcome == "silent"
    # Before TLS 1.3 the handshake does not end before that.
    with tls_server(tmp_path, asks=ssl.CERT_NONE, tickets=0, newest=ssl.TLSVersion.TLSv1_2) as endpoint:
        assert shake(endpoint, ROOT.view.pem, patient=True).outcome == "completed"


def test_a_server_that_has_not_got_a_certificate_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where packets of a certificate's size are lost."""
    lost, refused = handshake.Shaken("lost", "what was sent does not arrive"), handshake.Shaken("refused")
    monkeypatch.setattr(
        handshakes, "shake", lambda _endpoint, _roots, credential="", patient=False: lost if credential else refused
    )
    found = shake_hands([own(Endpoint("127.0.0.1", 1, FQDN))], STRANGER)
    assert (found.asked, found.faults) == (0, [])
    (message,) = found.unasked
    assert (message.code, message.what) == ("server-not-asked", "not asked from here: what was sent does not arrive")


def test_a_server_that_hangs_up_while_its_silence_is_waited_for_lets_nobody_in(tmp_path: Path) -> None:
    """As a gateway does whose backend takes no connection."""
    with tls_server(tmp_path, asks=ssl.CERT_NONE, tickets=0, patience=handshake.TIMEOUT * 1.5) as endpoint:
        assert shake(endpoint, ROOT.view.pem, patient=True).outcome == "closed"


def test_a_server_that_hangs_up_says_nothing_of_certificates(tmp_path: Path) -> None:
    with tls_server(tmp_path, asks=ssl.CERT_NONE, closes=True) as endpoint:
        assert shake(endpoint, ROOT.view.pem).outcome == "closed"


def test_a_chain_is_accepted_as_proxies_accept_it_whatever_python_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ssl.create_default_context

    def strict(cadata: str | None = None) -> ssl.SSLContext:
        """As Python makes it from 3.13 on."""
        context = own(cadata=cadata)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    key = ec.generate_private_key(ec.SECP256R1())
    root = authority("root", key.public_key(), "root", key)
    below = ec.generate_private_key(ec.SECP256R1())
    between = authority("between", below.public_key(), "root", key)
    leaf = make_leaf(Root(parse_certificates(between)[0], below), now=NOW)
    leaf = replace(leaf, certificate_pem=leaf.certificate_pem + between)
    # Of a root without keyUsage, and of a CA below it that is all that is trusted.
    for trusted in (root, between):
        with tls_server(tmp_path, leaf, asks=ssl.CERT_NONE) as endpoint:
            assert shake(endpoint, trusted).outcome != "untrusted", trusted
            # The control: who is not trusted is found.
            assert shake(endpoint, OTHER.view.pem).outcome == "untrusted"


def authority(name: str, key: ec.EllipticCurvePublicKey, issuer: str, issuing: ec.EllipticCurvePrivateKey) -> str:
    """A CA's certificate with the least that there can be: no keyUsage, no identifiers of keys."""
    own, its = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, item)]) for item in (name, issuer))
    builder = x509.CertificateBuilder(its, own, key, x509.random_serial_number(), NOW, NOW + timedelta(days=9))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    made = builder.sign(issuing, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


OLD = timedelta(days=400)


@pytest.mark.parametrize(
    ("leaf", "why"),
    [
        (make_leaf(OTHER, now=NOW), "self-signed certificate|unable to get local issuer"),
        (make_leaf(ROOT, now=NOW, sans=["other.example.com"]), "Hostname mismatch"),
        (make_leaf(make_root(now=NOW - OLD), now=NOW - OLD), "unable to get local issuer|expired"),
    ],
)
def test_a_certificate_that_is_not_of_the_ca_or_of_the_link(tmp_path: Path, leaf: Leaf, why: str) -> None:
    with tls_server(tmp_path, leaf) as endpoint:
        shaken = shake(endpoint, ROOT.view.pem)
    assert shaken.outcome == "untrusted"
    assert any(part in shaken.detail for part in why.split("|")), shaken


def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    root = make_root(now=NOW - OLD)
    with tls_server(tmp_path, make_leaf(root, now=NOW - OLD)) as endpoint:
        shaken = shake(endpoint, root.view.pem)
    assert (shaken.outcome, shaken.detail) == ("untrusted", "certificate has expired")


def test_what_is_no_tls_and_what_is_not_there() -> None:
    with accepting(lambda way: way.sendall(b"\x4a\x00\x00\x00\x0a11.4.2-MariaDB\x00")) as endpoint:
        assert shake(endpoint, ROOT.view.pem).outcome == "failed"
    with accepting(lambda way: way.close()) as endpoint:
        assert shake(endpoint, ROOT.view.pem).outcome == "unreached"
    # Its port is free again.
    assert shake(endpoint, ROOT.view.pem).outcome == "unreached"


@pytest.mark.parametrize("name", [f"{'a' * 64}.elb.example.com", "a..example.com", "a\0b"])
def test_an_address_that_is_none_is_not_reached(name: str) -> None:
    endpoint = Endpoint(name, 443, FQDN)
    assert shake(endpoint, ROOT.view.pem).outcome == "unreached"
    assert presented(endpoint) is None


@pytest.mark.parametrize("fqdn", ["", f"{'a' * 64}.example.com"])
def test_a_name_that_tls_cannot_ask_for_is_not_asked_for(tmp_path: Path, fqdn: str) -> None:
    with tls_server(tmp_path) as endpoint:
        assert shake(replace(endpoint, fqdn=fqdn), ROOT.view.pem).outcome == "unreached"
        assert presented(replace(endpoint, fqdn=fqdn)) is None


@pytest.mark.parametrize(
    ("roots", "credential"), [("", ""), ("nonsense", ""), ("\u00e9", ""), (ROOT.view.pem, "nonsense")]
)
def test_what_cannot_be_loaded_is_told_and_nobody_is_asked(tmp_path: Path, roots: str, credential: str) -> None:
    with tls_server(tmp_path) as endpoint:
        shaken = shake(endpoint, roots, credential)
    assert shaken.outcome == "unreached"
    assert shaken.detail.startswith("the trust or the certificate for it cannot be loaded: ")


def test_a_system_without_files_in_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with tls_server(tmp_path) as endpoint:
        shaken = shake(endpoint, ROOT.view.pem, STRANGER)
    assert (shaken.outcome, "no files in memory" in shaken.detail) == ("unreached", True)


def test_where_it_is_not_known_whether_something_was_lost_it_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_arguments: object) -> bytes:
        raise OSError("Inappropriate ioctl for device")

    def lost(*_arguments: object) -> bytes:
        return b"\x01\x01\x01\x01"

    with tls_server(tmp_path, asks=ssl.CERT_NONE, tickets=0) as endpoint:
        monkeypatch.setattr(handshake, "ioctl", unknown)
        assert shake(endpoint, ROOT.view.pem).outcome == "silent"
        # The control.
        monkeypatch.setattr(handshake, "ioctl", lost)
        assert shake(endpoint, ROOT.view.pem).outcome == "lost"
        monkeypatch.setattr(handshake, "_KNOWS_UNSENT", False)
        assert shake(endpoint, ROOT.view.pem).outcome == "silent"


@pytest.mark.parametrize("missing", ["fcntl", "termios"])
def test_handshakes_need_no_module_that_is_not_everywhere(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    spec = importlib.util.find_spec(handshake.__name__)
    assert spec
    assert spec.loader
    monkeypatch.setitem(sys.modules, missing, None)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    assert (fresh._KNOWS_UNSENT, handshake._KNOWS_UNSENT) == (False, True)


def test_a_server_that_does_not_even_shake_hands_is_not_reached() -> None:
    with accepting(lambda way: None) as endpoint:
        assert shake(endpoint, ROOT.view.pem).outcome == "unreached"


def test_what_is_no_name_and_what_is_no_trust_are_not_reached() -> None:
    """A load balancer's name is a cluster's word, and an external server's trust a user's."""
    assert shake(Endpoint(f"{'a' * 64}.example.com", 443, FQDN), ROOT.view.pem).outcome == "unreached"
    assert shake(Endpoint("127.0.0.1", 1, FQDN), "no PEM").outcome == "unreached"


def own(endpoint: Endpoint, link: str = "mysql", *, ours: bool = True) -> Server:
    return Server(link, endpoint, ROOT.view.pem, ours)


def test_a_sound_server_has_no_fault(tmp_path: Path) -> None:
    with tls_server(tmp_path) as endpoint:
        found = shake_hands([own(endpoint)], STRANGER)
    assert (found.asked, found.faults, found.unasked) == (1, [], [])


def test_a_server_that_demands_no_certificate_is_found_beside_a_sound_one(tmp_path: Path) -> None:
    (tmp_path / "sound").mkdir()
    with tls_server(tmp_path, asks=ssl.CERT_NONE) as open_to_all, tls_server(tmp_path / "sound") as sound:
        found = shake_hands([own(open_to_all, "open"), own(sound, "sound")], STRANGER)
    (fault,) = found.faults
    assert (found.asked, fault.code, fault.link, fault.place) == (2, "anybody-let-in", "open", "hop 2")
    where = f"asked from the controller at 127.0.0.1:{open_to_all.port}"
    assert str(fault.message()).startswith(f"link open, hop 2, {where}: wanted a client without a certificate to be")


def test_a_server_that_takes_any_certificate_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, let_in = handshake.Shaken("refused"), handshake.Shaken("completed")
    monkeypatch.setattr(
        handshakes, "shake", lambda _endpoint, _roots, credential="", patient=False: let_in if credential else refused
    )
    found = shake_hands([own(Endpoint("127.0.0.1", 1, FQDN))], STRANGER)
    assert codes_of(fault.message() for fault in found.faults) == ["stranger-let-in"]
    # Without a stranger's certificate there is nobody to be let in.
    assert shake_hands([own(Endpoint("127.0.0.1", 1, FQDN))], "").faults == []


def test_who_does_not_refuse_in_time_is_told_for_what_was_seen(tmp_path: Path) -> None:
    with tls_server(tmp_path, asks=ssl.CERT_NONE, tickets=0) as endpoint:
        (fault,) = shake_hands([own(endpoint)], STRANGER).faults
    assert (fault.code, fault.found) == ("anybody-let-in", "no refusal in 12 s")
    # Where it shows that it has let the client in, there is no doubt.
    with tls_server(tmp_path, asks=ssl.CERT_NONE) as endpoint:
        (fault,) = shake_hands([own(endpoint)], STRANGER).faults
    assert (fault.code, fault.found) == ("anybody-let-in", "it was let in")


def test_a_wrong_certificate_and_no_tls_are_faults_of_hop_2(tmp_path: Path) -> None:
    greet = accepting(lambda way: way.sendall(b"\x4a\x00\x00\x00\x0a11.4.2-MariaDB\x00"))
    with tls_server(tmp_path, make_leaf(OTHER, now=NOW)) as wrong, greet as plain:
        found = shake_hands([own(wrong, "wrong"), own(plain, "plain")], STRANGER)
    assert {(fault.link, fault.code, fault.hop) for fault in found.faults} == {
        ("wrong", "server-certificate", 2),
        ("plain", "no-handshake", 2),
    }


def test_an_external_server_may_refuse_later_and_may_not_go_on_by_itself(tmp_path: Path) -> None:
    for tickets in (0, 2):
        with tls_server(tmp_path, asks=ssl.CERT_NONE, tickets=tickets) as waits:
            found = shake_hands([own(waits, ours=False)], "")
        assert (found.asked, found.faults) == (1, [])
    with tls_server(tmp_path, asks=ssl.CERT_NONE, says=b"\x4a") as speaks:
        (fault,) = shake_hands([own(speaks, ours=False)], "").faults
    assert fault.code == "anybody-let-in"


def test_what_cannot_be_reached_is_not_asked_and_no_fault() -> None:
    with accepting(lambda way: None) as endpoint:
        pass
    found = shake_hands([own(endpoint)], STRANGER)
    assert (found.asked, found.faults) == (0, [])
    (message,) = found.unasked
    assert (message.code, message.level) == ("server-not-asked", "notice")
    assert "not asked from here: " in message.what


def test_a_slow_port_hides_no_other_of_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection

    def slow(address: tuple[str, int], timeout: float) -> socket.socket:
        if address[1] == 1:
            raise TimeoutError("timed out")
        return connect(address, timeout)

    monkeypatch.setattr(socket, "create_connection", slow)
    with tls_server(tmp_path, make_leaf(OTHER, now=NOW)) as wrong:
        found = shake_hands([own(wrong, "wrong"), own(Endpoint("127.0.0.1", 1, FQDN), "slow")], "")
    assert [message.where.partition(",")[0] for message in found.unasked] == ["link slow"]
    assert [(fault.link, fault.code) for fault in found.faults] == [("wrong", "server-certificate")]


def test_an_address_that_is_far_away_costs_its_time_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Passed where all of them wait at once; broken, and an error, where not.
    together = threading.Barrier(50)

    def late(_endpoint: Endpoint, _roots: str, _credential: str = "", *, patient: bool) -> handshake.Shaken:
        together.wait(10)
        return handshake.Shaken("unreached", "timed out")

    monkeypatch.setattr(handshakes, "shake", late)
    servers = [own(Endpoint("198.51.100.7", 13306 + number, FQDN), f"link-{number}") for number in range(50)]
    assert len(shake_hands(servers, STRANGER).unasked) == 50


def test_a_strangers_key_is_in_memory_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert STRANGER.count("BEGIN CERTIFICATE") == 1
    assert "PRIVATE KEY" in STRANGER
    assert stranger([], NOW) == ""
    monkeypatch.delattr("os.memfd_create")
    assert stranger(["a.b"], NOW) == ""
