"""A number with its noun, as a sentence for a user has it.

The rule: 1 has the singular; a word whose plural is not formed with -s is given with its plural.
"""


def count_of(number: int, noun: str, plural: str = "") -> str:
    """`1 row`, `2 rows`, `1,200 people`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
