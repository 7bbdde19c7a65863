"""Reads metrics in text as the programs do that collect them."""

from __future__ import annotations

import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

Samples = dict[tuple[str, ...], float]


def read_text(text: bytes) -> Samples:
    """Each sample by its name and its labels' values, in order of the labels' names."""
    parse = read_openmetrics if text.endswith(b"# EOF\n") else read_prometheus
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in parse(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def faults_for_textfile(text: str) -> list[str]:
    """Lines that the textfile collector of node_exporter refuses: it reads the text format 0.0.4 of
    Prometheus (prometheus/common, expfmt), and of samples no time stamps."""
    faults = []
    for line in text.splitlines():
        kind = re.fullmatch(r"# TYPE \S+ (\S+)", line)
        is_bad = (
            (kind and kind[1] not in {"counter", "gauge", "histogram", "summary", "untyped"})
            or (line.startswith("# HELP ") and re.search(r'\\[^\\n]|"', line))
            or (
                not line.startswith("#") and not re.fullmatch(r"\w+(\{.*\})? [-+.\deEInfNa]+", line)
            )
        )
        faults += [line] if is_bad else []
    return faults
