"""`maskdpo skills`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.cli.commands.evaluate_command import parse_models
from maskdpo.cli.options import FOLDER, DocumentedCommand, config_options, report_result
from maskdpo.config import RunConfig


@click.command(
    "skills",
    cls=DocumentedCommand,
    section="skills",
    examples="""
    maskdpo skills --model base=./my-model --model mask_dpo=runs/mine/model --task gsm8k
    maskdpo skills --config run.yaml --task my_task --task-folder tasks --output skills
    """,
)
@config_options
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=MODEL",
    help="Model to measure, a folder or Hub id; may be repeated; the first is the baseline "
    "[evaluate.models].",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="Task of lm-eval; may be repeated [skills.tasks].",
)
@click.option(
    "--task-folder", type=FOLDER, help="Folder with task files of your own [skills.task_folder]."
)
@click.option("--output", type=FOLDER, help="Folder for the results [RUN/skills].")
def command(
    config: RunConfig,
    *,
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    task_folder: Path | None,
    output: Path | None,
) -> None:
    """Measure other skills of models with lm-eval: does factuality training cost any of them?

    Writes skills.json: each model's score per task with lm-eval's standard error, and differences
    from the first model with an interval over documents. Needs the extra skills. Tasks of lm-eval
    download their data sets from the Hub; tasks in --task-folder may use local files. A rerun
    continues.
    """
    from maskdpo.evaluation.config import EvaluateConfig
    from maskdpo.skills.config import SkillsConfig
    from maskdpo.skills.run import run_skills
    from maskdpo.skills.show import print_skills

    settings = config.section(SkillsConfig, "skills", tasks=tasks or None, task_folder=task_folder)
    chosen = config.section(EvaluateConfig, "evaluate", models=parse_models(models)).models
    result = run_skills(chosen, settings, output or config.run.path("skills"))
    print_skills(result.output)
    report_result(result, 0.0)
