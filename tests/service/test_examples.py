"""The OpenAPI document has an example of each request, answer and error, and each is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from helpers.service import CONFIG, NOBODY, Client, added, claimed, job, running_app, with_trials
from recsweep.service.app import document
from recsweep.service.examples import ANSWERS, ERRORS, JOB, PARAMETERS, REQUESTS
from recsweep.service.planned import plan
from recsweep.service.request import request_of

UNLIKE = {"after", "before"}
"""Parameters without an example: what they may be was answered before."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Client]:
    with running_app(tmp_path_factory.mktemp("examples"), empty_store) as made:
        yield made


@pytest.fixture(scope="module")
def spec(client: Client) -> dict[str, Any]:
    return document(client.app)


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def validator(spec: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """Of a schema of the document, with those that it refers to."""
    return Draft202012Validator({"components": spec["components"], **schema})


def examples(content: dict[str, Any]) -> list[Any]:
    several = [one["value"] for one in content.get("examples", {}).values()]
    return [*several, *([content["example"]] if "example" in content else [])]


def test_every_answer_has_an_example_of_its_schema(spec: dict[str, Any]) -> None:
    seen = 0
    for route, operation in operations(spec):
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                found = examples(content)
                assert found, f"{route}: {status}"
                for one in found:
                    validator(spec, content.get("schema", {})).validate(one)
                    seen += 1
    assert seen > 80


def test_every_error_is_an_example_of_itself(spec: dict[str, Any]) -> None:
    for route, operation in operations(spec):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                (one,) = examples(answer["content"]["application/problem+json"])
                assert one["status"] == int(status), route
                assert one["detail"]
                assert one.get("field") or status == "503"
    assert all(one["fix"] for status, one in ERRORS.items() if status != 409)


def test_every_parameter_has_an_example_of_its_schema(spec: dict[str, Any]) -> None:
    seen = set()
    for route, operation in operations(spec):
        for parameter in operation.get("parameters", ()):
            name = parameter["name"]
            if name not in UNLIKE:
                validator(spec, parameter["schema"]).validate(parameter["example"])
                assert "{" + name + "}" in route or parameter["in"] != "path"
                seen.add(name)
    assert seen == set(PARAMETERS)


def test_every_request_has_examples_that_can_be_made(spec: dict[str, Any]) -> None:
    bodies = [
        one["requestBody"]["content"]["application/json"]
        for _, one in operations(spec)
        if "requestBody" in one
    ]
    assert len(bodies) == 2
    for content in bodies:
        assert len(examples(content)) == len(REQUESTS)
        for one in examples(content):
            validator(spec, content["schema"]).validate(one)
            assert plan(request_of(one), "1", CONFIG)


def test_examples_have_the_shape_of_real_answers(client: Client) -> None:
    """Of what the types leave open, too: the space of a model, the split of a data set, the request."""
    job_id = added(client)
    with_trials(client, claimed(client, job_id), [0.1, 0.3])
    file = client.service.folder(job_id) / "results" / "x.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    for route, example in ANSWERS.items():
        method, path = route.split(" ")
        if method != "GET" or not isinstance(example, dict):
            continue
        path = path.replace("{job_id}", job_id).replace("{slot}", "0")
        answer = client("GET", path)
        assert answer.status_code == 200, path
        alike(answer.json(), example, route)


def alike(real: Any, example: Any, where: str) -> None:
    """Objects with the same keys, down to lists, whose first parts are compared."""
    if isinstance(real, dict) and isinstance(example, dict) and not where.endswith(OPEN):
        assert real.keys() == example.keys(), where
        for key in real:
            alike(real[key], example[key], f"{where}.{key}")
    if isinstance(real, list) and isinstance(example, list) and real and example:
        alike(real[0], example[0], f"{where}[]")


OPEN = (".params", ".metrics", ".space", ".defaults", ".fixed", ".phases", ".keep", ".request")


def test_the_readmes_job_is_the_first_example() -> None:
    assert job() == JOB
    assert PARAMETERS["job_id"] != NOBODY
