"""Faults in data sets of the Hub and of `datasets`, in the schema of a run config and in --help."""

from __future__ import annotations

from mutant_rows import mutants_of

SHOWN = "test_show_data_sets.py"
INPUTS = "test_hub_inputs.py"
SCHEMA = "test_schema_config.py"
HELP = "test_help_settings.py"

HUB_INPUTS = [
    *mutants_of(
        "maskdpo/data_sets/hub.py",
        ("mistyped-path-asks-the-hub", "return not Path(bare).parent.exists()", "return True",
         f"{INPUTS} -k never_a_hub_id"),
        ("file-name-asks-the-hub", "or _FILE_NAME.search(bare.lower())", "", f"{INPUTS} -k never"),
        ("two-revisions-pass", "if not given or (revision", "if False and (revision",
         f"{INPUTS} -k never_a_hub_id"),
    ),
    *mutants_of(
        "maskdpo/data_sets/hub.py",
        ("every-file-is-fetched", "glob.escape(name) for name in files", "'*'",
         f"{INPUTS} -k scripts_stay"),
        ("stale-commit-is-read", "revision=found.commit,\n            allow", "allow",
         f"{INPUTS} -k our_own"),
        slow=True,
    ),
    *mutants_of(
        "maskdpo/data_sets/opening.py",
        ("card-leaves-the-folder", "if not path.is_relative_to(root)", "if False",
         f"{INPUTS} -k outside"),
        ("state-leaves-the-folder", "name != Path(name).name or", "", f"{INPUTS} -k outside"),
        ("unread-splits-are-silent", "if split is not None or not others", "if True or not others",
         f"{INPUTS} -k gold"),
        ("card-here-opens-an-address", "    check_cards(str(folder), folder)\n", "",
         f"{INPUTS} -k address_that_a_card_names"),
        ("wrong-card-is-a-traceback", "ValueError, TypeError, LookupError,", "LookupError,",
         f"{INPUTS} -k card_that_is_wrong"),
    ),
    *mutants_of(
        "maskdpo/data_sets/opening.py",
        ("card-on-the-hub-opens-an-address", "if cards := found", "if False and found",
         f"{INPUTS} -k on_the_hub_names"),
        slow=True,
    ),
    *mutants_of(
        "maskdpo/data_sets/cards.py",
        ("second-card-passes", "CARDS = (README, STANDALONE)", "CARDS = (README,)",
         f"{INPUTS} -k address_that_a_card_names"),
    ),
    *mutants_of(
        "schemas/files/columnar.py",
        ("damaged-offsets-are-followed", "batch.validate(full=True)", "batch.validate()",
         f"{INPUTS} -k utf8"),
        ("table-read-whole", "file.iter_batches(batch_size=size, columns=columns)",
         "file.read(columns=columns).to_batches()", f"{INPUTS} -k batches"),
    ),
    *mutants_of(
        "maskdpo/data_sets/training.py",
        ("test-split-lost", "test = None if test_split is None else", "test = None if True else",
         f"{INPUTS} -k preferences"),
        ("notes-lost", "None), data.notes(split)", "None), ()", f"{SHOWN} -k save_to_disk"),
        ("origin-lost", "labels=labels, origin=origin", "labels=labels", f"{INPUTS} -k our_own"),
        slow=True,
    ),
    *mutants_of(
        "schemas/files/tables.py",
        ("row-numbers-start-again", "        number = 0\n        for path in self.files:\n",
         "        for path in self.files:\n            number = 0\n", f"{INPUTS} -k gold"),
        ("columns-not-required", "if missing and (found or", "if False and (found or",
         f"{INPUTS} -k clear_sentence"),
        ("array-counted-by-lines", "return sum(1 for _ in scan_values(path, name=name))",
         "return sum(1 for _ in read_lines(path))", f"{SHOWN} -k kind"),
        ("origin-not-recorded", "{**describe_file(path), **self.origin}", "describe_file(path)",
         f"{INPUTS} -k import_reads"),
    ),
    *mutants_of(
        "formats/human_labels.py",
        ("null-is-a-value", "if name in HumanRow.model_fields and value is not None",
         "if name in HumanRow.model_fields", f"{INPUTS} -k null"),
    ),
    *mutants_of(
        "trainer/data.py",
        ("foreign-columns-are-ours", "if not has_our_columns(values):", "if False:",
         f"{INPUTS} -k preferences"),
        slow=True,
    ),
    *mutants_of(
        "trainer/splits.py",
        ("no-word-on-spans", "if not count or not config.use_spans", "if True",
         f"{INPUTS} -k preferences"),
        slow=True,
    ),
    *mutants_of(
        "maskdpo/config_schema.py",
        ("short-forms-refused", "        if short is not None:", "        if False:", SCHEMA),
        ("former-names-refused", "in model.FORMER_NAMES.items()", "in ()", SCHEMA),
        ("command-line-settings-required", 'in definition.pop("required", ())',
         'in definition.get("required", ())', SCHEMA),
        ("unknown-sections-pass", '"additionalProperties": False,\n        "properties"',
         '"properties"', SCHEMA),
    ),
    *mutants_of(
        "maskdpo/cli/settings_help.py",
        ("nested-keys-hidden", "        if inner is not None:\n            yield from",
         "        if False:\n            yield from", HELP),
        ("default-hidden", 'return f"{text} [{default}]".strip()', "return text", HELP),
        ("gap-in-a-description", '" ".join((field.description or "").split())\n    choices',
         '(field.description or "")\n    choices', HELP),
    ),
]  # fmt: skip
