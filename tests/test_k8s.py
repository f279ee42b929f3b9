"""The example for Kubernetes, read; against the schemas of its API where `make setup-cluster` was run."""

from __future__ import annotations

import pytest
import yaml

from helpers.containers import ROOT, composed

FILES = sorted((ROOT / "k8s").glob("*.yaml"))
FOUND = [one for path in FILES for one in yaml.safe_load_all(path.read_text()) if one]
SECRETS = {"postgres_password", "recsweep_token"}


def pods():
    """The pods that the files describe, by the name of what makes them."""
    makers = [one for one in FOUND if "template" in one.get("spec", {})]
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in makers}


def test_there_is_a_job_with_what_it_needs():
    kinds = [one["kind"] for one in FOUND]
    assert {"Job", "StatefulSet", "Deployment", "Service", "ConfigMap", "PersistentVolumeClaim"} <= set(kinds)
    assert {one["metadata"].get("namespace", "recsweep") for one in FOUND} == {"recsweep"}


def test_a_pod_runs_as_its_container_of_compose_does():
    services = composed("compose.yaml", {})["services"]
    for pod, service in (("recsweep-sweep", "sweep"), ("recsweep-service", "service")):
        (container,) = pods()[pod]["containers"]
        assert container["command"] == ["recsweep-entrypoint", *services[service]["command"]]
        assert pods()[pod]["terminationGracePeriodSeconds"] == 30


def test_secrets_come_by_reference_alone():
    named = set()
    for pod in pods().values():
        for variable in (one for container in pod["containers"] for one in container["env"]):
            if "valueFrom" in variable:
                named.add(variable["valueFrom"]["secretKeyRef"]["key"])
            else:
                assert variable["name"] in ("POSTGRES_USER", "POSTGRES_DB", "PGDATA")
    assert named == SECRETS
    assert not any(one["kind"] == "Secret" for one in FOUND)


def test_no_pod_has_rights_that_it_does_not_need():
    for name, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"], name
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["requests"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_api_would_take_it(path):
    validate = pytest.importorskip("kubernetes_validate", reason="make setup-cluster").validate
    for one in yaml.safe_load_all(path.read_text()):
        validate(one, "1.37", strict=True)
