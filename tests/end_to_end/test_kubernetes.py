"""Jobs as Snakemake's executor makes them for Kubernetes: held against the API's schemas, run by nobody."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
PASSWORD = "hunter2-MARKED"


class Api(BaseHTTPRequestHandler):
    """As much of the API as the executor asks; each job that it takes has failed when it is looked at."""

    taken: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        sent.setdefault("kind", "Job" if self.path.endswith("/jobs") else "Secret")
        sent.setdefault("apiVersion", "batch/v1" if sent["kind"] == "Job" else "v1")
        Api.taken.append(sent)
        self._answer(sent)

    def do_GET(self) -> None:
        self._answer({"items": []} if "/pods" in self.path else {"status": {"failed": 1}})

    def do_DELETE(self) -> None:
        self._answer({"status": "Success"})

    def _answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *details: Any) -> None:
        pass


@pytest.fixture
def kubeconfig(tmp_path) -> Iterator[Path]:
    """The configuration of a cluster that is a server in this process."""
    Api.taken.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
    file = tmp_path / "kubeconfig"
    file.write_text(
        yaml.safe_dump(
            {
                **{"apiVersion": "v1", "kind": "Config", "current-context": "here"},
                **{"clusters": [here], "contexts": [context], "users": [{"name": "me", "user": {}}]},
            }
        )
    )
    yield file
    server.shutdown()


def test_jobs_ask_for_the_resources_of_their_studies(tmp_path, kubeconfig, postgres):
    validate = pytest.importorskip("kubernetes_validate", reason="make setup-cluster").validate
    pytest.importorskip("snakemake_executor_plugin_kubernetes", reason="make setup-cluster")
    if shutil.which("rsync") is None:
        pytest.skip("no rsync, by which Snakemake copies to a volume")
    for name in ("config", "envs", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "Snakefile", tmp_path)
    model = tmp_path / "config" / "models" / "FPMC.yaml"
    model.write_text(model.read_text() + "resources: {cpus: 3, mem_gib: 6, gpus: 1}\n")
    prepared = tmp_path / "shared" / "outputs" / "prepared" / "smoke" / "ml-100k-small.yaml"
    prepared.parent.mkdir(parents=True)
    prepared.write_text("{}")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake"),
            *(
                "--profile",
                "profiles/kubernetes",
                "--container-image",
                "registry/recsweep:cpu",
            ),
            *(
                "--default-storage-prefix",
                str(tmp_path / "shared"),
                "--retries",
                "0",
                "--seconds-between-status",
                "1",
            ),
            *("--config", "sweep_file=config/smoke.yaml", "models=FPMC"),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "RECSWEEP_STORAGE": postgres.guarded(PASSWORD).url(PASSWORD),
        },
        capture_output=True,
        text=True,
        timeout=200,
    )
    jobs = [one for one in Api.taken if one["kind"] == "Job"]
    secrets = [one for one in Api.taken if one["kind"] == "Secret"]
    assert jobs, done.stdout + done.stderr
    for one in Api.taken:
        validate(one, "1.37", strict=True)
    (container,) = jobs[0]["spec"]["template"]["spec"]["containers"]
    asked = container["resources"]["requests"]
    assert asked["memory"] == "6144M"
    assert asked["nvidia.com/gpu"] == "1"
    assert int(asked["cpu"].removesuffix("m")) >= 2800, "three cores, less what a node keeps for itself"
    assert {"name": "recsweep-outputs", "mountPath": "/outputs"} in container["volumeMounts"]
    assert PASSWORD not in json.dumps(jobs)
    assert any(one["name"] == "RECSWEEP_STORAGE" and "valueFrom" in one for one in container["env"])
    assert secrets[0]["data"].keys() == {"recsweep_storage"}
