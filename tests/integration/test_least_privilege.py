"""The permissions that the documentation asks for are enough; what cannot be proven without exec is said."""

from __future__ import annotations

from pathlib import Path

from tests.integration.support.lab_mesh import LOCKDOWN, MYSQL, Mesh, locked_down
from tests.integration.support.service_accounts import documented_account

BY_HANDSHAKE = ("proof-by-handshake", "istio-ingressgateway-0")
NOT_PROVEN = ("not-proven", "gateway istio-system/istio-egressgateway", "istio-egressgateway-0")


def test_the_documented_permissions_are_enough_from_the_first_run_to_the_teardown(mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(mesh.lab, tmp_path) as kubeconfig:
        variables, links = {"mesh_kubeconfig": str(kubeconfig)}, [{**MYSQL, "strict_backend": True}]
        limited = locked_down(mesh, "default", variables=variables, links=links)
        first = limited.site()
        carried, names = mesh.carries(), mesh.names("cluster-a")
        last = limited.with_changes(links=[]).play("teardown")
    assert first.ok, first.output
    assert carried
    assert names >= LOCKDOWN
    assert not first.says("exec is forbidden")
    assert last.ok, last.output
    assert mesh.names("cluster-a") | mesh.names("cluster-b") == set()


def test_without_exec_a_run_ends_well_and_says_what_it_could_not_prove(mesh: Mesh, tmp_path: Path) -> None:
    with documented_account(mesh.lab, tmp_path, without="crossmesh-proof") as kubeconfig:
        limited = mesh.with_changes(variables={"mesh_kubeconfig": str(kubeconfig)})
        first, second = limited.site(), limited.site()
    assert first.ok, first.output
    assert first.reports(*BY_HANDSHAKE)
    assert first.reports(*NOT_PROVEN)
    assert mesh.carries()
    assert second.ok, second.output
    assert second.changed == 0
    assert second.reports(*BY_HANDSHAKE)
    assert second.reports(*NOT_PROVEN)
