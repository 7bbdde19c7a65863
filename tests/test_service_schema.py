"""schemathesis over the OpenAPI document of the real service: generated requests, valid and not.

The rule: whatever is sent, the status is one that the document lists, and no request makes the
service fail. Event streams are left out: they end when their job does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_support import ANSWER, DOCUMENT, TOKEN, ServiceProcess

EXAMPLES = 30
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("schema")
    (folder / "run.yaml").write_text("run: {dir: .}\nserve: {processes: 1}\n")
    with ServiceProcess(folder, "--config", "run.yaml") as process:
        yield process
        process.stop()


@pytest.fixture(scope="module")
def api(service: ServiceProcess) -> Any:
    found = schemathesis.openapi.from_url(f"{service.address}/openapi.json")
    return found.exclude(path_regex="/events$")


def test_every_operation_keeps_its_document(service: ServiceProcess, api: Any) -> None:
    names = set()
    for result in api.get_all_operations():
        operation = result.ok()
        names.add(operation.label)
        for mode in schemathesis.GenerationMode:
            try_operation(operation, mode)
        if "{job_id}" in operation.path:
            try_operation(operation, schemathesis.GenerationMode.POSITIVE, job=ended_job(service))
        assert service.send("GET", "/healthz", token=None).status == 200, operation.label
    assert {"POST /v1/annotations", "GET /v1/jobs/{job_id}/results", "GET /healthz"} <= names
    assert "ValidationError" not in str(api.raw_schema)  # FastAPI's own form of errors
    assert "failed:" not in service.log, service.log


def ended_job(service: ServiceProcess) -> str:
    """The id of a new job that has ended."""
    rows = [
        {"document": {"id": "d1", "text": DOCUMENT}},
        {
            "id": "r1",
            "question_id": "q1",
            "document_ids": ["d1"],
            "prompt": [{"role": "user", "content": "Who is she?"}],
            "text": ANSWER,
        },
    ]
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    kind = {"Content-Type": "application/x-ndjson"}
    reply = service.send("POST", "/v1/jobs", body, headers=kind)
    assert reply.status == 201, reply
    job = str(reply.json()["id"])
    service.get(f"/v1/jobs/{job}/results")  # ends when the job does
    deadline = time.monotonic() + 60
    while service.get(f"/v1/jobs/{job}").json()["state"] != "succeeded":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return job


def try_operation(operation: Any, mode: Any, *, job: str = "") -> None:
    """Sends `EXAMPLES` generated requests, the same ones in every run; about `job` if given."""

    @seed(18)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        if job:
            case.path_parameters["job_id"] = job
        response = case.call(headers=HEADERS, timeout=30)
        case.validate_response(response, checks=CHECKS)

    try:
        send()
    except Unsatisfiable:
        assert mode is schemathesis.GenerationMode.NEGATIVE  # nothing in the request to make wrong
    except BaseException as error:  # shown as text: pytest would print all strategies, for minutes
        pytest.fail(f"{operation.label}: {error}", pytrace=False)
