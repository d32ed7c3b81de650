# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There is no controller that renews by itself: `verify` tells when the schedule that should do it has stopped."""

from __future__ import annotations

import pytest

from tests.integration.support.lab_mesh import Mesh


def with_days(mesh: Mesh, validity: int, renew_before: int) -> Mesh:
    return mesh.with_changes(
        variables={"custom_ca_leaf_validity_days": validity, "custom_ca_renew_before_days": renew_before}
    )


def test_due_is_no_alarm_overdue_is_one_and_one_run_ends_it(linked_mesh: Mesh) -> None:
    """Of a month's certificates: due with 40 days before their end, overdue with 60."""
    made = with_days(linked_mesh, 30, 10).play("rotate_certificates", "-e", "mesh_rotate_force=true")
    assert made.ok, made.output

    due = with_days(linked_mesh, 90, 40).play("verify")
    assert due.ok, due.output
    assert due.says("issue Secret istio-system/mysql-credential: expires at")

    late = with_days(linked_mesh, 90, 60)
    overdue = late.play("verify")
    assert overdue.code != 0
    for secret in ("client-credential", "mysql-credential"):
        assert overdue.reports("certificate-overdue", f"ALARM: Secret istio-system/{secret}"), overdue.output

    renewed = late.play("rotate_certificates")
    assert renewed.ok, renewed.output
    ended = late.play("verify")
    assert ended.ok, ended.output
    assert "ALARM" not in ended.output
    assert linked_mesh.carries()


@pytest.mark.slow
def test_a_root_that_ends_is_an_alarm_of_its_own(mesh: Mesh) -> None:
    short = mesh.with_changes(
        variables={
            "custom_ca_validity_days": 20,
            "custom_ca_leaf_validity_days": 10,
            "custom_ca_renew_before_days": 5,
        }
    )
    assert short.site().ok
    run = short.with_changes(variables={"custom_ca_leaf_validity_days": 90, "custom_ca_renew_before_days": 30}).play(
        "verify"
    )
    assert run.code != 0
    assert run.reports("root-expires", "ALARM: "), run.output
