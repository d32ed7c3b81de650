# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of a package: what is in it, and what it asks for."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

__all__ = ["bill_of", "fault_of"]

WANTED = "crossmesh:wanted"


def bill_of(package: Path) -> str:
    """CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/) of a built collection, the same whenever it is made.

    Nothing of others is in the package. What it asks for is listed with the version that the tests ran with, and with
    the range that it takes as property `crossmesh:wanted`.
    """
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    with tarfile.open(package) as archive:
        about = json.loads(_read(archive, "MANIFEST.json"))["collection_info"]
        built = archive.getmember("MANIFEST.json").mtime
        asked = [*_of_ansible(archive, about), *_of_python(archive)]
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, digest))
    purl = PackageURL("generic", about["namespace"], about["name"], about["version"])
    bom.metadata.timestamp = datetime.fromtimestamp(built, UTC)
    bom.metadata.component = root = Component(
        type=ComponentType.LIBRARY,
        group=about["namespace"],
        name=about["name"],
        version=about["version"],
        description=about["description"],
        licenses=[LicenseFactory().make_from_string(name) for name in about["license"]],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        purl=purl,
        bom_ref=str(purl),
    )
    for component in asked:
        bom.components.add(component)
    bom.register_dependency(root, asked)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def fault_of(bill: str) -> str:
    """What the published schema has against a bill; nothing, if it is right."""
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill)
    return str(fault.data.message) if fault else ""


def _of_ansible(archive: tarfile.TarFile, about: dict[str, Any]) -> Iterator[Component]:
    core = yaml.safe_load(_read(archive, "meta/runtime.yml"))["requires_ansible"]
    yield _asked("pypi", "ansible-core", version("ansible-core"), core)
    for name, wanted in about["dependencies"].items():
        # The package `ansible` is what brings it to the tests.
        manifest = distribution("ansible").locate_file(f"ansible_collections/{name.replace('.', '/')}/MANIFEST.json")
        tested = json.loads(Path(str(manifest)).read_text())["collection_info"]["version"]
        yield _asked("generic", name, tested, wanted)


def _of_python(archive: tarfile.TarFile) -> Iterator[Component]:
    for name, wanted in re.findall(r"^([A-Za-z][\w-]*)(.*)$", _read(archive, "requirements.txt"), re.MULTILINE):
        yield _asked("pypi", name, version(name), wanted.strip())


def _asked(kind: str, name: str, tested: str, wanted: str) -> Component:
    purl = PackageURL(kind, None, name, tested)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=tested,
        purl=purl,
        # Else a random one.
        bom_ref=str(purl),
        properties=[Property(name=WANTED, value=wanted)],
    )


def _read(archive: tarfile.TarFile, name: str) -> str:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read().decode()
