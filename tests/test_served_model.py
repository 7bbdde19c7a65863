"""Model identity: what servers report behind a name, and that it is asked once and never a key."""

import json
import socket

import pytest
from sample_server import ChatServer, as_json
from sample_support import write_tiny_model

from annotator.models.backend import Decoding, Request
from annotator.models.config import ModelConfig
from annotator.models.local.model_files import digest_model
from annotator.models.make_backend import make_backend
from annotator.models.openai.openai_backend import OpenAIBackend
from annotator.models.served_model import ServedModel
from schemas.errors import BackendError, ConfigError
from schemas.records import Message

VLLM = {
    "id": "policy",
    "object": "model",
    "created": 1,
    "owned_by": "vllm",
    "root": "models/a",
    "parent": None,
    "max_model_len": 2048,
    "permission": [{"id": "p"}],
}
LLAMA = {
    "id": "models/a.gguf",
    "object": "model",
    "owned_by": "llamacpp",
    "meta": {"vocab_type": 2, "n_vocab": 49152, "n_params": 134515008, "size": 98000000, "x": "y"},
}


def serving(*entries):
    return as_json(200, {"object": "list", "data": list(entries)})


def backend_of(*servers, **settings):
    urls = [server if isinstance(server, str) else server.base_url for server in servers]
    values = {"backend": "openai", "model": "policy", "max_retries": 0, "base_urls": urls}
    return OpenAIBackend(ModelConfig.parse(values | settings, where="sample"))


def ask_once(backend):
    waiting = [
        [
            Request(
                id="r",
                messages=(Message(role="user", content="Hi."),),
                seed=1,
                decoding=Decoding(max_tokens=4),
            )
        ]
    ]

    def take(limit):
        taken, waiting[:] = waiting[:limit], waiting[limit:]
        return taken

    return [item for done in backend.generate(take) for item in done]


def test_vllm_reports_root_context_and_owner():
    other = VLLM | {"id": "other", "root": "models/b"}
    with ChatServer(models=serving(other, VLLM)) as server:
        found = backend_of(server, revision="r2").identify()
    assert found == [
        ServedModel(
            url=server.base_url,
            id="policy",
            root="models/a",
            max_model_len=2048,
            owned_by="vllm",
            revision="r2",
        )
    ]


def test_llama_cpp_reports_its_file_under_any_name():
    with ChatServer(models=serving(LLAMA)) as server:
        (found,) = backend_of(server).identify()
    assert (found.id, found.owned_by) == ("models/a.gguf", "llamacpp")
    assert found.meta == {
        "n_params": 134515008,
        "n_vocab": 49152,
        "size": 98000000,
        "vocab_type": 2,
    }


@pytest.mark.parametrize(
    "models",
    [
        as_json(404, {"error": "no such route"}),
        as_json(500, {"error": "broken"}),
        as_json(200, {"data": [{"name": "policy"}, 7]}),
        as_json(200, ["policy"]),
        (200, "text/html", b"<html>Welcome</html>"),
        serving(VLLM | {"id": "other"}),
    ],
)
def test_a_server_that_lists_nothing_of_the_model_is_left_out(models):
    with ChatServer(models=models) as server:
        backend = backend_of(server)
        assert backend.identify() == []
        assert len(ask_once(backend)) == 1  # it can still be asked


def test_odd_fields_are_not_reported():
    odd = VLLM | {"root": 7, "max_model_len": "2048", "owned_by": "", "meta": [1]}
    with ChatServer(models=serving(odd)) as server:
        found = backend_of(server).identify()
    assert found == [ServedModel(url=server.base_url, id="policy")]


@pytest.mark.parametrize(
    "root",
    [
        "/runs/{}f6a7b8c9d0e1f2a3b4c5d6e7f8a9b0/model",  # looks like a key, so it is hidden
        "/models/" + "very-long-name/" * 60 + "{}",  # is cut
    ],
)
def test_folders_that_cannot_be_shown_whole_still_differ(root):
    found = []
    for name in ("a1", "b2"):
        with ChatServer(models=serving(VLLM | {"root": root.format(name)})) as server:
            found += [item.root for item in backend_of(server).identify()]
    assert len(set(found)) == 2
    assert "f6a7b8" not in "".join(found)


def test_a_server_that_is_down_is_left_out_and_the_run_still_needs_one():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    backend = backend_of(url)
    assert backend.identify() == []
    with pytest.raises(BackendError, match="no server answers"):
        ask_once(backend)
    with ChatServer(models=serving(VLLM)) as server:
        assert [item.url for item in backend_of(url, server).identify()] == [server.base_url]


def test_a_server_that_was_down_at_first_is_asked_late_what_it_is():
    with ChatServer(models=serving(VLLM)) as server:
        backend = backend_of(server)
        backend.identify()
        backend._pool.endpoints[0].kind = None
        ask_once(backend)
        assert server.num_lists == 2
        assert server.asked[0].body["top_k"] == -1


def test_a_refused_key_stops():
    with (
        ChatServer(models=as_json(401, {"error": "no"})) as server,
        pytest.raises(ConfigError, match="HTTP 401"),
    ):
        backend_of(server).identify()


def test_the_list_is_asked_once_per_run_and_is_no_part_of_the_key():
    with ChatServer(models=serving(VLLM)) as server:
        backend = backend_of(server)
        before = backend.fingerprint()
        assert backend.identify() == backend.identify()
        ask_once(backend)
        assert server.num_lists == 1
        assert backend.fingerprint() == before
        assert "models/a" not in json.dumps(before)


def test_a_local_model_is_its_files(tmp_path):
    pytest.importorskip("transformers")
    folder = write_tiny_model(tmp_path / "tiny")
    backend = make_backend(ModelConfig(backend="transformers", model=str(folder), device="cpu"))
    assert backend.identify() == [ServedModel(id="tiny", content_sha256=digest_model(folder))]
