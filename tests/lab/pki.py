# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a cluster's own control plane, made anew at each start."""

from dataclasses import dataclass
from pathlib import Path

from . import shell
from .description import Cluster

_DAYS = "365"


@dataclass(frozen=True)
class Pki:
    directory: Path

    @property
    def ca(self) -> Path:
        return self.certificate("ca")

    @property
    def openssl_configuration(self) -> Path:
        return self.directory / "openssl.cnf"

    def certificate(self, name: str) -> Path:
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"


def make_pki(directory: Path, cluster: Cluster) -> Pki:
    directory.mkdir(mode=0o700)
    pki = Pki(directory)
    # openssl's own configuration makes a CA of every certificate.
    pki.openssl_configuration.write_text("[req]\ndistinguished_name = subject\n[subject]\n")
    _issue(
        pki,
        "ca",
        f"/CN={cluster.name}-ca",
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    service_address = cluster.service_network.replace(".0/24", ".1")
    names = ["DNS:localhost", "DNS:kubernetes.default.svc", "DNS:kubernetes.default.svc.cluster.local"]
    names += [f"IP:{address}" for address in (cluster.loopback, cluster.host_address, service_address)]
    _issue_leaf(
        pki, "apiserver", "/CN=kube-apiserver", f"subjectAltName={','.join(names)}", "extendedKeyUsage=serverAuth"
    )
    _issue_leaf(pki, "kubelet", "/CN=kwok", f"subjectAltName=IP:{cluster.loopback}", "extendedKeyUsage=serverAuth")
    _issue_leaf(pki, "admin", "/O=system:masters/CN=lab-admin", "extendedKeyUsage=clientAuth")
    shell.run(
        "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(pki.key("tokens"))
    )
    shell.run("openssl", "pkey", "-in", str(pki.key("tokens")), "-pubout", "-out", str(directory / "tokens.pub"))
    return pki


def _issue_leaf(pki: Pki, name: str, subject: str, *extensions: str) -> None:
    constraints = ("basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature")
    _issue(pki, name, subject, *constraints, *extensions)


def _issue(pki: Pki, name: str, subject: str, *extensions: str) -> None:
    issuer = [] if name == "ca" else ["-CA", str(pki.ca), "-CAkey", str(pki.key("ca"))]
    identifiers = ("subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid:always")
    shell.run(
        *("openssl", "req", "-x509", "-config", str(pki.openssl_configuration), "-days", _DAYS),
        *("-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-subj", subject, "-keyout", str(pki.key(name)), "-out", str(pki.certificate(name)), *issuer),
        *(argument for extension in (*extensions, *identifiers) for argument in ("-addext", extension)),
    )
