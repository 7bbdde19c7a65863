"""docs/scale.md names every setting of the engine on Ray, with its default."""

from __future__ import annotations

import re

from test_doc_links import ROOT

from annotator.scale.config import RayConfig

PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_the_table_names_all_settings_in_their_order() -> None:
    table = PAGE.split("### Settings of section `ray`")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", table, re.MULTILINE)
    assert [name for name, _ in rows] == list(RayConfig.model_fields)
    for name, shown in rows:
        default = RayConfig.model_fields[name].default
        number = re.search(r"[\d.]+$", shown)
        if isinstance(default, int | float) and number is not None:
            assert float(number[0]) == default, name
