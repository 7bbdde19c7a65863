"""`maskdpo doctor`."""

from __future__ import annotations

import click

from maskdpo.verbs.common import VerbCommand


@click.command("doctor", cls=VerbCommand, examples="maskdpo doctor")
def command() -> None:
    """Tell what is installed, what each verb still needs, and the command that gets it.

    Ends with exit code 0 whatever is missing: only you know which verbs you want.
    """
    from rich.console import Console
    from rich.table import Table

    from maskdpo.doctor import find_shadows, inspect_packages, inspect_verbs

    console = Console()
    packages = Table("package", "needed for", "installed", "get it with", title="Packages")
    for row in inspect_packages():
        packages.add_row(row.name, row.needed_for, row.version or "-", row.command)
    console.print(packages)
    verbs = Table("verb", "ready", "missing", title="Verbs")
    for verb in inspect_verbs():
        verbs.add_row(verb.name, "yes" if not verb.missing else "no", ", ".join(verb.missing))
    console.print(verbs)
    for shadow in find_shadows():
        console.print(f"[bold]shadowed:[/bold] {shadow}", highlight=False)
