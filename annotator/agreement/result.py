"""The result of measuring judges, for the terminal, the files and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.agreement.compare import Comparison
from annotator.agreement.disagreements import Disagreement
from annotator.agreement.measure import Agreement, AgreementReport
from annotator.agreement.reviewers import PeopleFigures


@dataclass(frozen=True, kw_only=True)
class AgreementResult:
    """One report per judge, the comparison where there are two, and where each judge differs.

    people    how well people's reviews agree; None where the labels do not come from reviews
    """

    gold: str
    reports: Sequence[AgreementReport]
    comparison: Comparison | None
    disagreements: Mapping[str, Sequence[Disagreement]]
    people: PeopleFigures | None = None
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    """Warnings about a judge whose verdicts are useless."""

    def lines(self) -> list[tuple[str, Agreement]]:
        """The lines of the table: the judges, then the baselines.

        The baseline `lexical` is left out where a judge of that name has exactly the same figures.
        """
        judges = [(report.judge, report.agreement) for report in self.reports]
        return judges + [
            (name, line)
            for name, line in self.reports[0].baselines.items()
            if not any(judge.startswith(name) and own == line for judge, own in judges)
        ]

    def to_dict(self) -> dict[str, Any]:
        """One JSON object: the first judge's report, flat; a second one under `compared_with`."""
        values = {"gold": self.gold, **self.reports[0].to_dict()}
        if self.people is not None:
            values["people"] = self.people.to_dict()
        if self.comparison is not None:
            values["compared_with"] = self.reports[1].to_dict()
            values["comparison"] = self.comparison.to_dict()
        return values
