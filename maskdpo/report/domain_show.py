"""What `domain check` prints: the domain, the messages a judge gets, tokens, sentences, verdicts.

The rule: domains, documents and verdicts are data. They are printed without control characters:
line ends stay, every other unprintable character becomes '?'.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from annotator.judging.domains.preview import describe_verdict
from annotator.judging.judge import JudgeFailure
from maskdpo.report.preview_show import lines_of_words
from schemas.text.counted import count_of
from schemas.text.terminal import printable as escape

if TYPE_CHECKING:
    from annotator.judging.domains.domain import Domain
    from annotator.judging.domains.preview import ProtocolPreview, TriedSentence
    from annotator.judging.judge import JudgeTask
    from schemas.records import Verdict

MAX_MESSAGE_CHARS = 20_000


def print_domain(domain: Domain, *, name: str, path: Path, doubts: Sequence[str]) -> None:
    """Print the domain's settings, the lines for the run config, and what looks unintended.

    `name` is what the user gave: a name or a path.
    """
    from annotator.judging.domains.domain import render_guidance
    from annotator.text.token_estimate import estimate_tokens

    num_tokens = estimate_tokens(render_guidance(domain))
    click.echo(f"domain {escape(domain.name)}  ({escape(str(path))})")
    click.echo(
        f"  language {escape(domain.language)}, splitter {domain.text.splitter}, "
        f"{len(domain.guidance)} labels with guidance, {len(domain.glossary)} terms, "
        f"{len(domain.examples)} examples; guidance about {num_tokens} tokens per call"
    )
    click.echo("  use it, in the run config:")
    shown = json.dumps(name, ensure_ascii=False)
    click.echo(f"    annotate:\n      domain: {escape(shown)}")
    click.echo(f"    build:\n      {policy_line(domain)}")
    for doubt in doubts:
        click.echo(f"note: {escape(doubt)}", err=True)


def policy_line(domain: Domain) -> str:
    """The domain's label policy as a line of the run config's section `build`."""
    policy = domain.label_policy
    chosen, rejected = (", ".join(labels) for labels in (policy.chosen, policy.rejected))
    return f"label_policy: {{chosen: [{chosen}], rejected: [{rejected}]}}"


def print_protocols(previews: Sequence[ProtocolPreview], *, wanted: str) -> None:
    """Print the messages of one call of each wanted protocol, then the counts of all."""
    printed: set[str] = set()
    for preview in previews:
        if wanted not in ("all", preview.protocol):
            continue
        click.echo(f"\n=== protocol {preview.protocol}: what the judge is sent")
        for message in preview.shown.messages:
            is_known = message.role == "system" and message.content in printed
            click.echo(f"--- {message.role}" + (" (as above)" if is_known else ""))
            if not is_known:
                printed.add(message.content)
                click.echo(_cut(escape(message.content)))
    click.echo("\n=== for this response, about (tokens are estimated)")
    for preview in previews:
        click.echo(
            f"  {preview.protocol:<9} calls {len(preview.calls):>3}, prompt tokens "
            f"{preview.num_tokens:>7,}" + (", at most" if preview.is_upper_bound else "")
        )


def print_sentences(task: JudgeTask) -> None:
    """Print the sentences that the splitter finds, with their offsets."""
    click.echo(f"\n=== {count_of(len(task.sentences), 'sentence')} found")
    for start, end in task.sentences:
        click.echo(f"  [{start}, {end}) {_one_line(task.response.text[start:end])}")


def print_trials(
    trials: Sequence[TriedSentence],
    outcomes: Sequence[Sequence[Verdict] | JudgeFailure],
    *,
    judge: str,
) -> None:
    """Print the verdict of each tested sentence, with the domain owner's label if there is one."""
    click.echo(f"\n=== dry run: {count_of(len(trials), 'sentence')} judged by {_one_line(judge)}")
    num_known = num_same = 0
    for trial, outcome in zip(trials, outcomes, strict=True):
        click.echo(f"  {_one_line(trial.sentence)}")
        if isinstance(outcome, JudgeFailure):
            click.echo(f"    failed: {_one_line(outcome.reason)}: {_one_line(outcome.detail)}")
            continue
        label, quotes, rationale = describe_verdict(outcome[0], trial.task)
        if trial.expected is None:
            click.echo(f"    {_one_line(label)}")
        else:
            is_same = outcome[0].label is trial.expected
            num_known, num_same = num_known + 1, num_same + is_same
            compared = "as your example says" if is_same else f"your example says {trial.expected}"
            click.echo(f"    {_one_line(label)}; {compared}")
        for line in lines_of_words(trial.task.response.text, outcome[0]):
            click.echo(f"    {_one_line(line)}")
        for quote in quotes:
            click.echo(f"    quote: {_one_line(quote)}")
        if rationale:
            click.echo(f"    because: {_one_line(rationale)}")
    if num_known:
        click.echo(f"  {num_same} of {num_known} as the examples say")


def _cut(text: str) -> str:
    if len(text) <= MAX_MESSAGE_CHARS:
        return text
    return f"{text[:MAX_MESSAGE_CHARS]}\n[{len(text) - MAX_MESSAGE_CHARS} characters more]"


def _one_line(text: str) -> str:
    return escape(" ".join(text.split()))
