"""Language codes of settings, and languages that the texts contradict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run, make_run

from annotator.documents.readers.read import read_bytes
from maskdpo.config import load_run_config
from schemas.errors import ConfigError
from schemas.text.language_codes import check_code

ENGLISH = "The old mill was built by two brothers in 1903, and it burned down twenty years later."
GERMAN = "Die alte Mühle wurde 1903 von zwei Brüdern gebaut und brannte zwanzig Jahre später ab."


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(monkeypatch, capsys)


@pytest.mark.parametrize(
    "code", ["auto", "en", "no", "zh", "ZH", "zh-Hant-TW", "zh_CN", "pt-BR", "yue", "es-419", "haw"]
)
def test_codes_are_taken_as_they_are(code: str) -> None:
    assert check_code(code) == code


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("english", "'en'"),
        ("English", "'en'"),
        ("englisch", "'en'"),
        ("eng", "'en'"),
        ("chinese", "'zh'"),
        ("中文", "'zh'"),
        ("cn", "'zh'"),
        ("norwegain", "'no'"),
        ("deutsch", "'de'"),
        ("xx", "examples: 'en', 'zh'"),
        ("", "examples: 'en', 'zh'"),
        ("en zh", "examples: 'en', 'zh'"),
        (" en", "examples: 'en', 'zh'"),
    ],
)
def test_what_is_no_code_is_refused_with_the_nearest(value: str, meant: str) -> None:
    with pytest.raises(ValueError, match="is not a language code") as caught:
        check_code(value)
    assert meant in str(caught.value)


@pytest.mark.parametrize("setting", ["annotate.text.language", "ingest.language"])
def test_settings_take_codes_only(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"'english' is not a language code .*did you mean 'en'"):
        load_run_config(None, [f"{setting}=english"])
    load_run_config(None, [f"{setting}=no"])


def write_run(language: str = "") -> tuple[str, ...]:
    prompt = [{"role": "user", "content": "What of the mill?"}]
    rows = [
        {"id": f"r{n}", "question_id": "q", "topic": "t", "prompt": prompt, "text": text}
        | ({"language": language} if language else {})
        for n, text in enumerate([ENGLISH, ENGLISH, GERMAN, "Ja."])
    ]
    Path("responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {"id": "d", "topic": "t", "text": ENGLISH}
    Path("documents.jsonl").write_text(json.dumps(document) + "\n")
    files = ("--responses", "responses.jsonl", "--documents", "documents.jsonl")
    return ("annotate", *files, "--output", "a.jsonl")


def test_a_language_that_the_responses_contradict_is_reported_once(run: Run) -> None:
    code, _, err = run(*write_run(), "--set", "annotate.text.language=zh")
    assert code == 0
    expected = (
        "warning: 3 of 4 responses are clearly not in the language that is set ('zh'): r0, r1"
    )
    assert err.count("clearly not in the language") == 1 and expected in err
    _, _, err = run(*write_run("de"))
    assert "2 of 4 responses are clearly not in the language that their rows state: r0, r1" in err
    for arguments in (write_run(), (*write_run(), "--set", "annotate.text.language=auto")):
        assert "clearly" not in run(*arguments)[2]


def test_a_language_that_the_documents_contradict_is_reported_once(run: Run) -> None:
    Path("papers").mkdir()
    Path("papers/a.md").write_text(ENGLISH)
    Path("papers/b.md").write_text(GERMAN)
    Path("papers/c.md").write_text(f"---\nlanguage: de\n---\n{ENGLISH}\nIt was rebuilt.")
    output = ("--output", "d.jsonl")
    code, _, err = run("ingest", "papers", *output, "--set", "ingest.language=zh")
    assert code == 0 and err.count("clearly not in the language") == 1
    assert "3 of 3 documents" in err and "ingest.language=zh states: a.md, b.md, c.md" in err
    _, _, err = run("ingest", "papers", *output)
    assert "1 of 1 documents" in err and "that their front matter states: c.md" in err


@pytest.mark.parametrize(
    ("markup", "counted"),
    [
        ("---\ntopic: [a, b]\ntitle: Salt\n---\nText.", {"front_matter_lists": 1}),
        ("---\ntopic:\n  - a\n  - b\n---\nText.", {"front_matter_lists": 1}),
        ("---\ntitle: Salt\nnot a field\n---\nText.", {"front_matter_left_in_text": 1}),
        ("---\ntitle: Salt\n\nText without an end.", {"front_matter_left_in_text": 1}),
        ("---\ntitle: Salt\ntopic:\n---\nText.", {}),
        ("---\nA warning.\n---\nText.", {}),
        ("Text.\n---\ntitle: Salt\n", {}),
    ],
)
def test_front_matter_that_is_not_taken_is_counted(markup: str, counted: dict[str, int]) -> None:
    found = read_bytes(markup.encode(), format_name="md", max_chars=1_000)
    assert found.not_read == counted
