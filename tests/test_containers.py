"""The image and the set of containers, read: no docker daemon is needed."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess

import pytest
import yaml

from helpers.containers import ROOT, composed, example

COMPOSE = composed("compose.yaml", {})
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENTRYPOINT = ROOT / "containers" / "entrypoint.sh"
SECRET = {
    "POSTGRES_PASSWORD",
    "RECSWEEP_TOKEN",
    "WANDB_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
}


def run(*command, **environment):
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_each_variable_stands_in_the_example():
    text = (ROOT / "compose.yaml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    made = {secret["environment"] for secret in COMPOSE["secrets"].values()}
    assert used | made == example().keys()
    assert made == SECRET


def test_no_secret_stands_in_a_containers_settings():
    for name, service in COMPOSE["services"].items():
        settings = {key: value for key, value in service["environment"].items() if key != "RECSWEEP_NEEDS"}
        assert not SECRET & settings.keys(), name
        assert not any("POSTGRES_PASSWORD}" in str(value) for value in settings.values()), name
    assert all(secret.keys() == {"environment"} for secret in COMPOSE["secrets"].values())


def test_who_runs_long_is_looked_after():
    services = COMPOSE["services"]
    assert services.keys() == {"postgres", "sweep", "service", "dashboard"}
    for name in ("postgres", "service", "dashboard"):
        assert services[name]["healthcheck"]["test"]
        assert services[name]["restart"] == "unless-stopped"
    assert all("volumes" in service for service in services.values())
    assert all(port.startswith("127.0.0.1:") for one in services.values() for port in one.get("ports", ()))


def test_the_last_stage_builds_nothing_and_has_no_rights():
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    named = {re.search(r"AS (\S+)", stage)[1]: stage for stage in stages}
    assert {"cpu", "cuda", "build-cpu", "build-cuda"} < named.keys()
    assert list(named)[-1] == "cpu", "the one that is built where no target is named"
    assert "g++" in named["tools"]
    assert not re.search(r"g\+\+|gcc|make|pip", named["last"])
    assert re.search(r"^USER [1-9]\d*$", named["last"], flags=re.MULTILINE)
    for target in ("cpu", "cuda"):
        assert re.sub(r"\s+", " ", named[target]).strip() == (
            f"last AS {target} COPY --from=build-{target} /opt/recsweep /opt/recsweep"
        )


def test_an_image_takes_nothing_but_what_it_is_made_of():
    first, *kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in "#"]
    assert first == "*"
    copied = set(re.findall(r"^COPY (?:--chown=\S+ )?(?!--from)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE))
    names = {word.split("/")[0] for line in copied for word in line.split()}
    assert names <= {line.removeprefix("!") for line in kept if line.startswith("!")}
    assert all((ROOT / name).exists() for name in names)


def test_secrets_become_variables_of_the_process_alone(tmp_path):
    (tmp_path / "postgres_password").write_text("hunter2-MARKED\n")
    (tmp_path / "wandb_api_key").write_text("")
    (tmp_path / "odd name;").write_text("x")
    code, said, _ = run(
        *(
            str(ENTRYPOINT),
            "sh",
            "-c",
            "echo $PGPASSWORD $0; env | sort | grep -c -e KEY -e POSTGRES -e ODD; true",
        ),
        RECSWEEP_SECRETS=str(tmp_path),
        RECSWEEP_NEEDS="POSTGRES_PASSWORD",
    )
    assert (code, said.split()) == (0, ["hunter2-MARKED", "sh", "0"])


def test_a_missing_secret_is_one_clear_line(tmp_path):
    code, said, error = run(
        str(ENTRYPOINT), "true", RECSWEEP_SECRETS=str(tmp_path), RECSWEEP_NEEDS="RECSWEEP_TOKEN"
    )
    assert (code, said) == (2, "")
    assert error == "recsweep: RECSWEEP_TOKEN is not set; write it into .env, which .env.example explains"


def test_make_env_makes_one_that_nobody_else_reads(tmp_path):
    (tmp_path / "containers").mkdir()
    shutil.copy(ROOT / "containers" / "env.sh", tmp_path / "containers")
    shutil.copy(ROOT / ".env.example", tmp_path)
    assert run("sh", str(tmp_path / "containers" / "env.sh"))[0] == 0
    made = tmp_path / ".env"
    found = dict(line.split("=", 1) for line in made.read_text().splitlines() if re.match("[A-Z_]+=", line))
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert found.keys() == example().keys()
    assert len(found["RECSWEEP_TOKEN"]) == len(found["POSTGRES_PASSWORD"]) == 48
    assert found["RECSWEEP_TOKEN"] != found["POSTGRES_PASSWORD"]
    assert run("sh", str(tmp_path / "containers" / "env.sh"))[1] == ".env is there already"
    assert made.read_text().count(found["RECSWEEP_TOKEN"]) == 1


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cuda.yaml"])
def test_compose_files_are_as_their_specification_says(name):
    compose_spec = pytest.importorskip("compose_spec", reason="make setup-cluster")
    found = composed(name, example())
    compose_spec.PyCompose.from_yaml(yaml.safe_dump(found))
    found["services"]["sweep"]["comand"] = []
    with pytest.raises(ValueError, match="comand"):
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(found))


def test_the_dockerfile_has_nothing_to_find_fault_with():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("make setup-cluster")
    assert run(hadolint, "--no-color", str(ROOT / "Dockerfile")) == (0, "", "")
