"""Faults in what a data set folder is published with, and in settings that have former names."""

from __future__ import annotations

from mutant_rows import mutants_of

CARD = "test_card.py"
NAMES = "test_former_names.py"

PUBLISHED = [
    *mutants_of(
        "maskdpo/publishing/dataset.py",
        (
            "card-edited-during-a-build-is-lost",
            "        _keep_edited_card(output)  # the build took",
            "        pass  # the build took",
            f"{CARD} -k edited_while",
        ),
        (
            "manifest-without-pictures",
            "        write_json(folder / MANIFEST_NAME, manifest)\n",
            "",
            f"{CARD} -k pictures_appear",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/write.py",
        (
            "builder-replaces-cards",
            "found - ours - set(replaces)",
            'found - ours - {"README.md"} - set(replaces)',
            f"{CARD} -k builder_alone",
        ),
    ),
    *mutants_of(
        "dataset_builder/folder/merge.py",
        (
            "renamed-setting-is-another-build",
            'if key == "config" and value else value',
            "if False else value",
            f"{NAMES} -k data_sets",
        ),
    ),
    *mutants_of(
        "maskdpo/config_sections.py",
        (
            "both-names-are-one",
            "if (section, name) in present:",
            "if False:",
            f"{NAMES} -k both_names",
        ),
    ),
    *mutants_of(
        "schemas/config.py",
        (
            "last-of-two-names-counts",
            "if len(present) < len(values):",
            "if False:",
            f"{NAMES} -k both_names",
        ),
    ),
    *mutants_of(
        "schemas/text/terminal.py",
        (
            "terminal-obeys-text",
            'if letter == "\\n" or letter.isprintable():',
            "if True:",
            "test_terminal.py",
        ),
    ),
    *mutants_of(
        "maskdpo/cli/errors.py",
        (
            "terminal-obeys-errors",
            'click.echo(f"error: {printable(str(error))}", err=True)',
            'click.echo(f"error: {error}", err=True)',
            "test_terminal.py -k errors",
        ),
    ),
    *mutants_of(
        "maskdpo/cli/tools/validate_command.py",
        (
            "terminal-obeys-findings",
            "click.echo(printable(str(finding)))",
            "click.echo(str(finding))",
            "test_terminal.py -k errors",
        ),
    ),
]
