"""`agreement`: one judge or two against people's labels; a result, and the requested files.

Everything that can be wrong with the inputs is reported before a judge is asked anything, and
files are written when all judges are done, each whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from annotator.agreement.compare import compare_judges
from annotator.agreement.disagreements import list_disagreements
from annotator.agreement.gold import Gold
from annotator.agreement.gold_verdicts import make_gold_tasks, with_documents
from annotator.agreement.measure import AgreementReport, measure_judges
from annotator.agreement.named_judge import NamedJudge
from annotator.agreement.result import AgreementResult
from annotator.calls.estimate import Estimate
from annotator.judging.protocols.table import PROTOCOLS
from annotator.judging.runs.verdict_tally import VerdictTally
from schemas.document_versions import find_stale_documents, notes_on_stale
from schemas.errors import ConfigError
from schemas.events import OnEvent, ignore
from schemas.files.jsonl import write_records
from schemas.files.own_files import has_keys, is_page, refuse_to_replace_unless
from schemas.files.sidecar import make_sidecar, read_sidecar_values, write_sidecar
from schemas.files.writing import write_json
from schemas.records import Document


@dataclass(frozen=True, kw_only=True)
class AgreementFiles:
    """What to write, each only where it is named.

    output         the result as JSON
    disagreements  one Disagreement per line, of all judges
    annotations    the judge's verdicts on the labelled responses; of one judge only
    report         an HTML page, which the caller writes; it is checked here like the rest
    """

    output: Path | None = None
    disagreements: Path | None = None
    annotations: Path | None = None
    report: Path | None = None


def run_agreement(
    gold: Gold, judges: Sequence[NamedJudge], files: AgreementFiles, *, on_event: OnEvent = ignore
) -> AgreementResult:
    """Measure one judge, or compare two, on `gold`, and write `files`.

    Raises ConfigError, before anything is judged, for an output that is also an input;
    LimitReachedError at a limit and BackendError when a judge's calls all failed, both with
    nothing written.
    """
    _check_files(gold, judges, files)
    replayed = [named.path for named in judges if named.path]
    own = () if gold.table else gold.inputs[1:][-1:]  # documents are the last input
    stale = find_stale_documents(replayed, own)
    documents = {item.id: item for item in gold.documents if item.id not in stale.ids}
    measured = measure_judges(
        gold.annotations,
        gold.documents,
        [named.judge for named in judges],
        settings=[named.settings for named in judges],
        meters=[named.meter for named in judges],
        decisions=gold.decisions,
        on_event=on_event,
    )
    reports = [
        replace(report, judge=named.name) for report, named in zip(measured, judges, strict=True)
    ]
    comparison = None
    if len(reports) == 2:
        comparison = compare_judges(reports[0].sentences, reports[1].sentences)
    result = AgreementResult(
        gold=gold.name,
        reports=reports,
        comparison=comparison,
        disagreements={
            report.judge: list_disagreements(report.sentences, documents, judge=report.judge)
            for report in reports
        },
        people=gold.people,
        notes=[
            *gold.notes(),
            *(note for named in judges for note in named.judge.notes()),
            *notes_on_stale(stale, "is not quoted"),
        ],
        warnings=[line for report in reports for line in _find_warnings(report, gold.documents)],
    )
    _write_files(result, gold, files)
    return result


def _find_warnings(report: AgreementReport, documents: Sequence[Document]) -> list[str]:
    """Warnings about a judge whose verdicts on the labelled sentences are useless."""
    by_id = {item.id: item for item in documents}
    tally = VerdictTally()
    for item in report.sentences:
        shown = [by_id[name] for name in item.gold.document_ids if name in by_id]
        tally.add([item.text], [item.verdict], shown)
    return tally.warnings(report.judge)


def estimate_agreement(gold: Gold, judges: Sequence[NamedJudge]) -> list[tuple[str, Estimate]]:
    """The calls that each judge with a model would still make; nothing is called or written.

    The judges are those of `find_judges` with `PaidCalls(only_estimate=True)`.
    """
    parts = []
    for named in judges:
        if named.estimator is None or named.meter is None:
            continue
        found = with_documents(gold.annotations, gold.documents, named.settings)
        tasks = make_gold_tasks(found, gold.documents, also=gold.decisions)
        for _ in named.judge.judge(tasks):
            pass
        estimate = Estimate(
            prices=named.meter.prices,
            num_calls=named.estimator.num_calls,
            num_stored=named.estimator.num_stored,
            tokens=named.estimator.tokens,
            notes=["each unusable reply costs one or two calls more than this"],
            at_most=bool(PROTOCOLS[named.protocol].upper_bound),
        )
        parts.append((named.name, estimate))
    return parts


def _is_of_agreement(path: Path) -> bool:
    return bool(read_sidecar_values(path).get("config") == {"made_by": "agreement"})


# Each output: the option that names it, and how a file that a rerun may replace is known.
_OUTPUTS = {
    "output": ("--output", has_keys("gold", "judge", "baselines")),
    "disagreements": ("--disagreements", has_keys("people_label", "judge_label")),
    "annotations": ("--annotations-output", _is_of_agreement),
    "report": ("--report", is_page),
}


def _check_files(gold: Gold, judges: Sequence[NamedJudge], files: AgreementFiles) -> None:
    """Raise ConfigError for an output that is an input, another output, or other work."""
    if files.annotations and len(judges) != 1:
        raise ConfigError(
            "--annotations-output holds one judge's verdicts; measure the judges one at a time"
        )
    taken = {path.resolve(): "an input" for path in gold.inputs}
    taken |= {named.path.resolve(): "an input" for named in judges if named.path}
    for name, (option, is_own) in _OUTPUTS.items():
        path: Path | None = getattr(files, name)
        if path is None:
            continue
        other = taken.setdefault(path.resolve(), f"the {name} file")
        if other != f"the {name} file":
            raise ConfigError(f"{name} {path} is also {other}; name another file")
        refuse_to_replace_unless(path, is_own, by="maskdpo agreement", option=option)


def _write_files(result: AgreementResult, gold: Gold, files: AgreementFiles) -> None:
    if files.output:
        write_json(files.output, result.to_dict())
    if files.disagreements:
        rows = [row for rows in result.disagreements.values() for row in rows]
        write_records(files.disagreements, rows)
    if files.annotations:
        _write_annotations(files.annotations, result.reports[0], gold)


def _write_annotations(path: Path, report: AgreementReport, gold: Gold) -> None:
    """The judge's verdicts on people's own sentences: what `--judge FILE.jsonl` reads again."""
    count = write_records(path, (response.to_annotation() for response in report.judged))
    sidecar = make_sidecar(
        "annotation",
        config={"made_by": "agreement"},
        inputs=gold.describe(),
        models={"judge": report.judge},
        counts={"responses": count},
    )
    write_sidecar(path, sidecar)
