"""What the command line prints for an error, and its exit code.

The rule: an error meant for users is printed as one message; any other keeps its traceback.
"""

from __future__ import annotations

import click


def print_error(error: Exception) -> int:
    """Print the message of an error and return its exit code; re-raises any other error."""
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
