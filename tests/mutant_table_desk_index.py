"""Small faults in the files of an index and in what is found to review, each with its test."""

from __future__ import annotations

from mutant_rows import mutants_of

FILES = "test_desk_index_files.py"
INDEX = "test_desk_index.py"
SOURCES = "test_desk_sources.py"

DESK_INDEX = [
    *mutants_of(
        "maskdpo/desk/index/files.py",
        ("journal-in-memory", "journal_mode = DELETE", "journal_mode = MEMORY", f"{FILES} -k killed"),
        ("damage-unnoticed", ' and checked == ("ok",)', "", f"{FILES} -k damaged"),
        ("made-by-each", "if not _is_sound(target, mark):", "if True:", f"{FILES} -k together"),
        ("index-in-use-removed", "> _IN_USE_S", "> -1", f"{FILES} -k keeps_its_index"),
        ("left-over-kept", 'path.suffix == ".part" or ', "", f"{FILES} -k killed_build"),
        ("others-removed", 'rf"(.+)\\.[0-9a-f]', 'rf"(.+?)\\..*[0-9a-f]', f"{FILES} -k killed_build"),
    ),
    *mutants_of(
        "maskdpo/desk/index/build.py",
        ("id-used-twice", "if line == row.line:", "if True:", f"{FILES} -k second_row"),
    ),
    *mutants_of(
        "maskdpo/desk/index/states.py",
        (
            "rest-is-decided",
            "any(item.reason not in _LEFT_OVER for item in here)",
            "here",
            f"{INDEX} -k rest_of_a_joined",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/index/columns.py",
        ("parts-agree", "_MIXED if state.by", "_NONE if state.by", f"{INDEX} -k parts_of_different"),
    ),
    *mutants_of(
        "maskdpo/desk/desk.py",
        ("index-gone-unnoticed", " or not self.index.is_there", "", f"{FILES} -k removed_again"),
        ("temporary-stays", "shutil.rmtree(self._temporary, ignore_errors=True)", "pass", f"{FILES} -k cannot"),
    ),
    *mutants_of(
        "maskdpo/desk/sources.py",
        ("reviews-expire", "folder.parent.name == JOBS", "False", SOURCES),
    ),
    *mutants_of(
        "maskdpo/show/documents.py",
        ("change-of-documents-unnoticed", 'not known or describe_file(path)["sha256"] == known', "True", SOURCES),
    ),
]  # fmt: skip
