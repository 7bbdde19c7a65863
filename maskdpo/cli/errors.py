"""What the command line prints of an error, and the exit code that it gives.

The rule: an error that has a sentence for a person is that sentence; any other keeps its traceback.
"""

from __future__ import annotations

import click


def print_error(error: Exception) -> int:
    """Print the sentence of an error and return its exit code; raises what has no sentence."""
    from schemas.errors import BackendError, ConfigError, MaskDpoError
    from schemas.secret_values import hide_keys
    from schemas.text.terminal import printable

    if isinstance(error, MaskDpoError):
        click.echo(f"error: {printable(str(error))}", err=True)
        return error.exit_code
    if isinstance(error, OSError):
        click.echo(f"error: {printable(hide_keys(str(error)))}", err=True)
        return BackendError.exit_code
    if isinstance(error, ModuleNotFoundError) and error.name:
        from schemas.packages import explain_missing

        click.echo(f"error: {explain_missing(error.name)}", err=True)
        return ConfigError.exit_code
    raise error
