"""Small faults in the index, the desk and the reading page, each with the test that detects it."""

from __future__ import annotations

from mutant_rows import mutants_of

INDEX = "test_desk_index.py"
WEB = "test_desk_reading_web.py"
DRAFT = "test_desk_reading_draft.py"

DESK_CORE = [
    *mutants_of(
        "maskdpo/desk/index/index.py",
        ("next-is-itself", 'side="right"))', 'side="left"))', INDEX),
        ("states-kept-of-a-replaced-file", "columns.people.clear()", "pass", INDEX),
    ),
    *mutants_of(
        "maskdpo/desk/desk.py",
        (
            "change-unnoticed",
            "if self._is_behind or self._has_changed():",
            "if self._is_behind:",
            f"{INDEX} -k written_again",
        ),
    ),
    *mutants_of(
        "maskdpo/desk/desk.py",
        ("gone-unnoticed", "        except OSError as error:\n            message = f\"cannot be read", "        except ZeroDivisionError as error:\n            message = f\"cannot be read", f"{INDEX} -k written_again"),
        ("empty-desk-opens", "if all(source.is_empty for source in desk.sources.values()):", "if False:", f"{INDEX} -k without_a_response"),
        ("full-disk-untold", "        except OSError as error:\n            message = f\"the decision", "        except ZeroDivisionError as error:\n            message = f\"the decision", f"{INDEX} -k cannot_be_written"),
        ("missed-for-ever", "self._is_behind = True", "pass", f"{INDEX} -k missed"),
        ("former-reviews-unread", "if path != self.files.reviews and path.is_file()", "if False", f"{INDEX} -k earlier"),
    ),
    *mutants_of(
        "maskdpo/forgetting/desks.py",
        ("index-not-forgotten", 'if any(suffix.startswith(".sqlite") for suffix in path.suffixes):', "if False:", "test_desk_forget.py"),
        ("shown-not-forgotten", "return targets.is_person(who) or", "return", "test_desk_forget.py"),
    ),
    *mutants_of(
        "maskdpo/desk/shown.py",
        ("other-desk-unseen", "            self._read()\n", "", f"{INDEX} -k shown_labels"),
    ),
    *mutants_of(
        "maskdpo/desk/index/columns.py",
        ("skipped-stays-open", "return ~(person.decided | person.skipped)", "return ~person.decided", INDEX),
        ("undecided-differs", "(self.together != _NONE) & (self.together != self.label)",
         "(self.together != self.label)", INDEX),
        ("no-confidence-fits", "mask &= self.confidence <= wanted.confidence",
         "mask &= ~(self.confidence > wanted.confidence)", INDEX),
    ),
    *mutants_of(
        "maskdpo/desk/index/build.py",
        ("copies-shown", "GROUP BY question_id, sha", "GROUP BY id", INDEX),
        ("file-order", "ORDER BY sure, position", "ORDER BY position", INDEX),
        ("no-mark", "INSERT INTO meta VALUES ('mark', ?)\", (mark,)", "INSERT INTO meta VALUES ('mark', ?)\", ('',)", INDEX),
    ),
    *mutants_of(
        "maskdpo/desk/index/states.py",
        ("decided-stays-skipped", 'if action == "skip")', "if True)", INDEX),
        ("resolver-label-lost", "found[item.who] = [*kept, item]", "pass", f"{INDEX} -k conflicts"),
    ),
    *mutants_of(
        "maskdpo/desk/reading/seen.py",
        ("blind-shows", "judge=has_decided or not blind", "judge=True", WEB),
        ("others-shown", "others=has_decided", "others=True", WEB),
        ("second-look-is-blind", "return hidden and not had_label", "return hidden", WEB),
    ),
    *mutants_of(
        "maskdpo/desk/reading/act.py",
        ("sent-twice-recorded-twice", "if here and _content(here[-1]) == _content(review):", "if False:", DRAFT),
        ("any-text", 'if form.get("text_sha256") != text_sha256(annotation.text):', "if False:", DRAFT),
        ("flag-twice", "if name is Press.FLAG and not flags:", "if name is Press.FLAG:", DRAFT),
    ),
    *mutants_of(
        "maskdpo/desk/reading/draft.py",
        ("words-with-any-label", "if words and label not in HALLUCINATED_LABELS:", "if False:", DRAFT),
        ("words-anywhere", "if place[0] < draft.start or place[1] > draft.end:", "if False:", DRAFT),
    ),
    *mutants_of(
        "maskdpo/desk/reading/text_html.py",
        ("returns-lost", '"\\r": "&#13;"', '"\\v": "&#11;"', "test_desk_reading_text.py"),
        ("nul-kept", 're.compile("[\\0\\ud800-\\udfff]")', 're.compile("[\\ud800-\\udfff]")', "test_desk_reading_text.py"),
    ),
    *mutants_of(
        "maskdpo/desk/web/reading_routes.py",
        ("anybody-undoes", "found.who != who or", "", f"{WEB} -k nobody_undoes"),
        ("undo-twice", "if source.counts(found):", "if True:", f"{WEB} -k recorded_once"),
        ("list-gives-it-away", "            or asked.filter.reveals_labels\n", "", f"{WEB} -k only_who"),
        ("shown-before", "if not session.blind or asked.filter.reveals_labels:", "if False:", f"{WEB} -k only_who"),
    ),
    *mutants_of(
        "maskdpo/desk/web/templates/reading_parts.html.jinja",
        ("fields-end-early", "{{ value|forceescape }}", "{{ value }}", f"{WEB} -k parts_joined"),
    ),
]  # fmt: skip
