"""Which model replied: recorded with each run on a store, and compared with the next one.

The rule: a served name says nothing about the weights behind it, and only the name is in the key of
a call. So stored replies are used only when the servers report the same as in the last run with
that role, name and `revision`; otherwise the run stops before any call, unless the user confirms
that it is the same model.

- What servers report is compared, without the address: eight servers of one model are one model.
- Where they report only a name and an owner, addresses are compared: it is a difference when none
  is the same as in the last run.
- With `revision` set the user states which model it is, and nothing is compared. For a local model
  the digest of its files is in the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from annotator.calls.store import Store
from annotator.models.backend import Backend
from annotator.models.served_model import ServedModel
from schemas.errors import BackendError, ConfigError
from schemas.validation import show_value

_COMPARED = ("id", "root", "parent", "max_model_len", "owned_by", "meta")


@dataclass(frozen=True, kw_only=True)
class AskedModel:
    """A model that a run calls.

    role      the kind of its calls in the store
    setting   the config section that names it, where `revision` is set
    """

    role: str
    setting: str
    backend: Backend


@dataclass(frozen=True, kw_only=True)
class IdentifiedModels:
    """What servers reported: `records` for `Store.begin_run`, `served` by role, and notes."""

    records: Sequence[Mapping[str, Any]]
    served: Mapping[str, Sequence[ServedModel]]
    notes: Sequence[str]


def identify_models(
    store: Store,
    asked: Sequence[AskedModel],
    *,
    same_model: bool,
    count_serving: Callable[[], int],
) -> IdentifiedModels:
    """Ask the servers of each model what they serve, and compare it with the last run on `store`.

    `count_serving` counts the stored replies that this run would use, at most. With `same_model`
    the model served now is recorded as the same model as before. Raises ConfigError, before any
    call, where another model is served than before, or more than one. A model that was accepted
    once stays accepted, even if its server is down now.
    """
    records: list[Mapping[str, Any]] = []
    served: dict[str, Sequence[ServedModel]] = {}
    notes: list[str] = []
    for item in asked:
        now = _ask(item.backend)
        served[item.role] = now
        last = last_served(store, item)
        if not now:
            notes += [_unchecked(item)] if last else []
            continue
        accepted = list(now)
        if _is_compared(item, now):
            difference = find_difference(last, now)
            if difference and not same_model:
                raise ConfigError(_refusal(store, item, difference, last, count_serving))
            seen = [_compared(model) for model in now]
            accepted += [model for model in last if _compared(model) not in seen]
        records.append(_header(item) | {"served": [asdict(model) for model in accepted]})
    return IdentifiedModels(records=records, served=served, notes=notes)


def describe_served(served: Iterable[ServedModel]) -> list[dict[str, Any]]:
    """The part that may be written into a sidecar: distinct models, without addresses and
    folders."""
    shown: list[dict[str, Any]] = []
    for model in served:
        values = asdict(
            replace(model, url=None, root=_base_name(model.root), parent=_base_name(model.parent))
        )
        kept = {name: value for name, value in values.items() if value not in (None, {})}
        kept["id"] = _base_name(model.id)
        if kept not in shown:
            shown.append(kept)
    return shown


def _ask(backend: Backend) -> list[ServedModel]:
    try:
        return backend.identify()
    except (BackendError, ConfigError):
        # A run whose calls are all stored needs no server; any other run gets the error again.
        return []


def _header(item: AskedModel) -> dict[str, Any]:
    """The key by which two runs asked for the same model."""
    return {
        "role": item.role,
        "model": item.backend.model,
        "revision": item.backend.fingerprint().get("revision"),
    }


def last_served(store: Store, item: AskedModel) -> list[ServedModel]:
    """What servers reported in the last run with that model; [] where nothing was recorded."""
    if not store.has_kind(item.role):
        return []  # there is no reply of the former model
    header = _header(item)
    for records in store.models_of_runs():
        for record in records:
            if {name: record.get(name) for name in header} == header:
                return [_read_served(values) for values in record["served"]]
    return []


def _read_served(values: Mapping[str, Any]) -> ServedModel:
    known = {field.name for field in fields(ServedModel)}
    return ServedModel(**{name: value for name, value in values.items() if name in known})


def _is_compared(item: AskedModel, now: Sequence[ServedModel]) -> bool:
    is_remote = any(model.url is not None for model in now)
    return is_remote and _header(item)["revision"] is None


def find_difference(last: Sequence[ServedModel], now: Sequence[ServedModel]) -> str | None:
    """A description of the difference between the model served `now` and the `last` one.

    None where it is the same one, or where nothing is known of the last one.
    """
    known = [_compared(model) for model in last or now[:1]]
    new = [model for model in now if _compared(model) not in known]
    if new:
        return "; ".join(_name_difference(known[0], model) for model in _distinct(new))
    if (
        last
        and not any(map(_reports_more, now))
        and not {m.url for m in now} & {m.url for m in last}
    ):
        places = f"{_list_urls(last)} -> {_list_urls(now)}"
        return f"base_url {places}, and the server reports no more than the name"
    return None


def _name_difference(known: Mapping[str, Any], model: ServedModel) -> str:
    values = _compared(model)
    changes = [
        f"{name} {_show(known[name])} -> {_show(values[name])}"
        for name in _COMPARED
        if known[name] != values[name]
    ]
    return f"{model.url} reports {', '.join(changes)}"


def _refusal(
    store: Store,
    item: AskedModel,
    difference: str,
    last: Sequence[ServedModel],
    count_serving: Callable[[], int],
) -> str:
    name = show_value(item.backend.model)
    same = "If it is the same model, add --same-model; if not,"
    if not last:  # one revision holds for all servers, so it cannot distinguish these
        return (
            f"{item.setting}: the servers of {name} serve different models: {difference}. "
            f"{same} leave the servers of the other model out of {item.setting}.base_urls"
        )
    ways = f"{same} --set {item.setting}.revision=NAME keeps the replies of the two separate"
    return (
        f"{item.setting}: what is served as {name} differs from the last run on {store.path}: "
        f"{difference}. Up to {count_serving():,} stored replies of the former model would be "
        f"used. {ways}"
    )


def _unchecked(item: AskedModel) -> str:
    return (
        f"no server reports which model it serves as {show_value(item.backend.model)}, so it was "
        "not checked that stored replies are of the model that is served now"
    )


def _compared(model: ServedModel) -> dict[str, Any]:
    return {name: getattr(model, name) for name in _COMPARED}


def _reports_more(model: ServedModel) -> bool:
    return any((model.root, model.parent, model.max_model_len, model.meta))


def _distinct(models: Iterable[ServedModel]) -> list[ServedModel]:
    found: list[ServedModel] = []
    for model in models:
        if model not in found:
            found.append(model)
    return found


def _list_urls(models: Iterable[ServedModel]) -> str:
    return ", ".join(sorted({str(model.url) for model in models}))


def _show(value: Any) -> str:
    return "(not reported)" if value is None or value == {} else show_value(value)


def _base_name(name: str | None) -> str | None:
    """A Hub id unchanged; of a path its last part."""
    if name is None:
        return None
    is_path = name.startswith(("/", "~", ".")) or "\\" in name or name.count("/") > 1
    parts = [part for part in name.replace("\\", "/").split("/") if part.strip(".~ ")]
    return parts[-1] if is_path and parts else name
