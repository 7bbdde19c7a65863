"""Faults in what a wheel holds, in recipes found by name, and in what an extra brings."""

from __future__ import annotations

from mutant_rows import mutants_of

RECIPES = "test_recipes.py"
PACKAGES = "test_packages.py"
WHEEL = "test_wheel.py"

PACKAGING = [
    *mutants_of(
        "maskdpo/recipes/__init__.py",
        (
            "a-recipe-wins-over-a-file",
            "    if given.exists() and",
            "    if False and",
            f"{RECIPES} -k name",
        ),
        ("a-folder-is-a-config", " and not given.is_dir()", "", f"{RECIPES} -k name"),
        (
            "accelerate-is-a-run-config",
            "    if name in accelerate_configs():",
            "    if False:",
            f"{RECIPES} -k nearest",
        ),
        ("the-example-is-not-found", "_read_folder(_EXAMPLES) | ", "", f"{RECIPES} -k list"),
    ),
    *mutants_of(
        "maskdpo/cli/options.py",
        (
            "domain-option-loses",
            "(*overrides, *given)",
            "(*given, *overrides)",
            f"{RECIPES} -k domain",
        ),
        ("domain-is-read-as-yaml", "{json.dumps(domain)}", "{domain}", f"{RECIPES} -k domain"),
        (
            "plots-that-cannot-be-drawn",
            '        require("matplotlib", needed_for="--plots")',
            "        pass",
            f"{PACKAGES} -k extra",
        ),
    ),
    *mutants_of(
        "annotator/judging/domains/domain.py",
        (
            "packaged-domains-first",
            "[FOLDER, SHIPPED]",
            "[SHIPPED, FOLDER]",
            "test_domain.py -k here",
        ),
    ),
    *mutants_of(
        "schemas/packages.py",
        ("a-folder-is-a-package", " and spec.origin is not None", "", f"{PACKAGES} -k folder"),
        (
            "a-clone-is-a-wheel",
            'for name in ("pyproject.toml", "constraints.txt"))',
            'for name in ("no-such-file",))',
            f"{PACKAGES} -k told",
        ),
        (
            "a-command-per-package",
            "extras = list(dict.fromkeys(map(find_extra, modules)))",
            "extras = list(map(find_extra, modules)) * 2",
            f"{PACKAGES} -k sentence",
        ),
    ),
    *mutants_of(
        "annotator/text/splitters.py",
        (
            "splitter-not-checked",
            '        require(name, needed_for=f"text.splitter: {name}")',
            "        pass",
            f"{PACKAGES} -k extra",
        ),
    ),
    *mutants_of(
        "maskdpo/evaluation/run.py",
        (
            "evaluate-not-checked",
            '    require("scipy", "matplotlib", needed_for="evaluate")',
            "",
            f"{PACKAGES} -k extra",
        ),
    ),
    *mutants_of(
        "pyproject.toml",
        ("recipes-not-packed", '"trainer" = ["recipes/*.yaml", ', '"trainer" = [', WHEEL),
        (
            "domains-not-packed",
            '["shipped/*.yaml", "shipped/documents/*"]',
            '["shipped/documents/*"]',
            WHEEL,
        ),
        slow=True,
    ),
]
