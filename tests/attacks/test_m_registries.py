# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M: somebody may register clusters where an inventory takes them from: Argo CD, Open Cluster Management, a kubeconfig.

A cluster that becomes a client or server of links gets certificates of the CA; a Secret says whom the controller
talks to.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.crossmesh.mtls.plugins.module_utils._cluster.argocd import connection_to_registered
from ansible_collections.crossmesh.mtls.plugins.module_utils._errors import CrossmeshError, failure
from tests.unit.inventory_values import as_template
from tests.unit.registries import MANAGED, SECRETS, TOKEN, Hub, argocd_secret, config, managed_cluster, parsed
from tests.unit.support import Json, refused

TEMPLATE = "{{ 1 + 1 }}"
ALL = {"source": "argocd", "clusters": ["*"]}


def argocd(*secrets: Json) -> Hub:
    return Hub(**{SECRETS: {"items": list(secrets)}})


def hosts(folder: Path, hub: Hub, options: Mapping[str, Any] = ALL) -> set[str]:
    return set(parsed(folder, hub, {"strict": False, **options}).hosts)


# -- names ---------------------------------------------------------------------------------------------------------


def test_a_cluster_that_nobody_asked_for_is_no_host(tmp_path: Path) -> None:
    hub = argocd(argocd_secret("prod-a"), argocd_secret("evil"))
    assert hosts(tmp_path, hub, {**ALL, "clusters": ["prod-*"]}) == {"prod-a"}
    assert hosts(tmp_path, hub) == {"prod-a", "evil"}, "the control"


OTHERS = ["localhost", "all", "ungrouped", "mesh_clients", TEMPLATE, "A", "a.b", "a b", "-a", "a" * 64, "", "\x1b[2J"]


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_that_means_something_else_is_no_host(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hosts(tmp_path, argocd(argocd_secret("prod-a"), argocd_secret("x", name=name))) == {"prod-a"}
    printed = capsys.readouterr().err
    assert "[cluster-left-out]" in printed
    assert "\x1b[2J" not in printed
    assert hosts(tmp_path, argocd(argocd_secret("prod-a"), argocd_secret("x"))) == {"prod-a", "x"}, "the control"


def test_a_name_that_two_clusters_have_is_nobodys(tmp_path: Path) -> None:
    """Else the one that comes later, or first, would get the certificates of the other."""
    second = argocd_secret("b", name="prod-a", server="https://evil.example")
    assert hosts(tmp_path, argocd(argocd_secret("prod-a"), second, argocd_secret("prod-b"))) == {"prod-b"}
    with pytest.raises(AnsibleParserError, match=r"prod-a: 2 clusters are called so.*https://evil\.example"):
        parsed(tmp_path, argocd(argocd_secret("prod-a"), second), ALL)


def test_a_secret_that_argo_cd_does_not_know_is_no_cluster(tmp_path: Path) -> None:
    """A server may answer with more than the selector asks for."""
    other = argocd_secret("prod-b")
    other["metadata"]["labels"] = {}
    assert hosts(tmp_path, argocd(argocd_secret("prod-a"), other)) == {"prod-a"}


def test_a_cluster_that_its_hub_has_not_accepted_is_none(tmp_path: Path) -> None:
    items = [managed_cluster("prod-a"), managed_cluster("evil", accepted=False)]
    hub = Hub(**{MANAGED: {"items": items}})
    assert hosts(tmp_path, hub, {"source": "ocm", "clusters": ["*"]}) == {"prod-a"}


# -- values --------------------------------------------------------------------------------------------------------


def rendered(found: Any, host: str, expression: str) -> Any:
    templar = Templar(DataLoader(), variables=found.get_host(host).get_vars())
    return templar.template(as_template(expression))


def test_a_value_is_never_a_template(tmp_path: Path) -> None:
    secret = argocd_secret("prod-a")
    secret["metadata"]["labels"]["note"] = TEMPLATE
    compose = {"composed": "crossmesh_cluster.labels.note", "of_people": "1 + 1"}
    found = parsed(tmp_path, argocd(secret), {**ALL, "compose": compose})
    assert rendered(found, "prod-a", "{{ crossmesh_cluster.labels.note }}") == TEMPLATE
    assert rendered(found, "prod-a", "{{ composed }}") == TEMPLATE
    assert str(rendered(found, "prod-a", "{{ of_people }}")) == "2", "the control"


def test_a_context_is_never_a_template(tmp_path: Path) -> None:
    content = {
        "clusters": [{"name": "c", "cluster": {"server": "https://c.example"}}],
        "contexts": [{"name": TEMPLATE, "context": {"cluster": "c"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(content))
    found = parsed(tmp_path, Hub(), {"source": "kubeconfig", "clusters": ["prod-a"], "names": {TEMPLATE: "prod-a"}})
    assert rendered(found, "prod-a", "{{ mesh_context }}") == TEMPLATE


def test_a_label_chooses_no_group_that_gets_certificates(tmp_path: Path) -> None:
    secret = argocd_secret("prod-a")
    secret["metadata"]["labels"]["role"] = "clients"
    keyed = {"key": "crossmesh_cluster.labels.role", "prefix": "mesh"}
    for prefix, words in {"mesh": "prod-a one of mesh_clients", "": "has no prefix"}.items():
        with pytest.raises(AnsibleParserError) as caught:
            parsed(tmp_path, argocd(secret), {**ALL, "keyed_groups": [{**keyed, "prefix": prefix}]})
        assert words in str(caught.value)
        assert "[foreign-group]" in str(caught.value)
    found = parsed(tmp_path, argocd(secret), {**ALL, "keyed_groups": [{**keyed, "prefix": "role"}]})
    assert found.get_groups_dict()["role_clients"] == ["prod-a"], "the control"


# -- credentials ---------------------------------------------------------------------------------------------------


def test_no_credential_becomes_a_variable(tmp_path: Path) -> None:
    secret = argocd_secret("prod-a")
    found = parsed(tmp_path, argocd(secret), ALL).get_host("prod-a").get_vars()
    assert TOKEN not in repr(found)
    assert secret["metadata"]["name"] in repr(found), "the control: what lies beside it"
    # And none that somebody has put into the address.
    bad = argocd_secret("prod-b", server=f"https://u:{TOKEN}@b.example")
    with pytest.raises(AnsibleParserError) as caught:
        parsed(tmp_path, argocd(bad), ALL)
    assert TOKEN not in str(caught.value)
    assert hosts(tmp_path, argocd(bad, secret)) == {"prod-a"}


UNFOLLOWED: Mapping[str, tuple[str, str]] = {
    "a program": (config(execProviderConfig={"command": "/bin/sh"}), "execProviderConfig"),
    "a program of AWS": (config(awsAuthConfig={"clusterName": "x"}), "awsAuthConfig"),
    "a proxy": (config(proxyUrl="http://evil.example"), "proxyUrl"),
    "a password": (config(username="u", password=TOKEN), "password"),
    "nothing": ("{}", "neither bearerToken"),
    "no text": ("", "neither bearerToken"),
    "a token with a line end": (config(bearerToken=f"{TOKEN}\nX: y"), "bearerToken holds"),
}


@pytest.mark.parametrize("case", UNFOLLOWED)
def test_a_secret_starts_no_program_and_asks_for_nothing_else(case: str) -> None:
    given, words = UNFOLLOWED[case]
    with refused("connection") as caught:
        connected(argocd_secret("prod-a", config=given))
    assert words in caught.value.message.what
    assert TOKEN not in told(caught.value)
    assert connected(argocd_secret("prod-a")), "the control"


def test_a_secret_turns_no_verification_off() -> None:
    with refused("unverified-server"):
        connected(argocd_secret("prod-a", config=config(tlsClientConfig={"insecure": True})))


@pytest.mark.parametrize(
    "server", ["http://a.example", "file:///etc/passwd", "", "https://u:p@a.example", "https://a/?x"]
)
def test_an_address_that_is_none_gets_no_credential(server: str) -> None:
    with refused("connection"):
        connected(argocd_secret("prod-a", server=server))


SHAPES: Mapping[str, Any] = {
    "no JSON": "{",
    "a list": "[]",
    "nested too deep": "[" * 9000,
    "a token that is a list": json.dumps({"bearerToken": [TOKEN]}),
    "TLS that is a text": config(tlsClientConfig=TOKEN),
    "insecure that is a text": config(tlsClientConfig={"insecure": "false"}),
    "a CA that is a number": config(tlsClientConfig={"caData": 1}),
}


@pytest.mark.parametrize("case", SHAPES)
def test_a_secret_of_another_shape_is_one_error_without_a_word_of_it(case: str) -> None:
    with refused("malformed-object") as caught:
        connected(argocd_secret("prod-a", config=SHAPES[case]))
    assert TOKEN not in told(caught.value)


@pytest.mark.parametrize("key", ["name", "server", "config"])
def test_data_that_is_no_text_is_one_error_and_one_cluster(tmp_path: Path, key: str) -> None:
    bad = argocd_secret("prod-a")
    bad["data"][key] = "/w=="
    if key == "config":
        with refused("malformed-object"):
            connected(bad)
    else:
        assert hosts(tmp_path, argocd(bad, argocd_secret("prod-b"))) == {"prod-b"}


def test_any_secret_is_not_one_of_argo_cd() -> None:
    secret = argocd_secret("prod-a")
    secret["metadata"]["labels"] = {"argocd.argoproj.io/secret-type": "repository"}
    with refused("connection") as caught:
        connected(secret)
    assert "has no label" in caught.value.message.what


def connected(secret: Json) -> Any:
    name = secret["metadata"]["name"]
    hub: Any = Hub(**{f"{SECRETS}/{name}": secret})
    return connection_to_registered(hub, f"argocd/{name}")


def told(error: CrossmeshError) -> str:
    return "".join(map(str, (failure(error), *traceback.format_exception(error))))
