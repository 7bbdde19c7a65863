"""A command to run next, with the options of this call that select the run.

The rule: a printed command works when it is copied without changes.
"""

from __future__ import annotations

import shlex

import click


def run_options() -> str:
    """The --config and --set of this call, quoted, with a space in front; '' when none was given.

    >>> run_options()
    ''
    """
    context = click.get_current_context(silent=True)
    given = context.params if context else {}
    parts = ["--config", str(given["config_path"])] if given.get("config_path") else []
    for override in given.get("overrides") or ():
        parts += ["--set", override]
    return f" {shlex.join(parts)}" if parts else ""
