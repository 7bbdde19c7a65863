"""How a user reaches what a command serves: the token and the address.

The rule: a token is made for one start unless the environment gives one, and a message about a
wrong one never repeats it.
"""

from __future__ import annotations

import os

TOKEN_NAME = "MASKDPO_TOKEN"


def find_token() -> tuple[str, bool]:
    """The token, and whether it was made now."""
    from annotator.service.guard.settings import check_token, make_token

    given = os.environ.get(TOKEN_NAME)
    return (make_token(), True) if given is None else (check_token(given), False)


def address_of(host: str, port: int) -> str:
    """The URL of an address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
