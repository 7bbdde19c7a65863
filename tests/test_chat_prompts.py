"""How a local model's prompts are rendered: a context that is too short, a template's roles."""

import pytest
from sample_support import CHAT_TEMPLATE, write_tiny_model

from annotator.models.backend import Decoding, Request, RequestFailure
from annotator.models.local.chat_prompts import PromptRenderer
from schemas.records import Message

pytest.importorskip("transformers")


def renderer_of(folder, *, template=CHAT_TEMPLATE, max_context=None):
    write_tiny_model(folder, template=template)
    return PromptRenderer(folder, model="tiny", template_kwargs={}, max_context=max_context)


def request(text, *, system=None):
    messages = [Message(role="user", content=text)]
    if system is not None:
        messages.insert(0, Message(role="system", content=system))
    return Request(id="r", messages=messages, seed=0, decoding=Decoding(max_tokens=8))


def test_only_a_context_that_a_setting_shortened_names_the_setting_and_the_retry(tmp_path):
    long = request("where " * 300)
    shortened = renderer_of(tmp_path / "a", max_context=64).render(long)
    own = renderer_of(tmp_path / "b").render(long)
    assert shortened.reason == own.reason == "prompt_too_long"
    assert shortened.detail.endswith(
        "context of 64; raise engine.max_model_len: with a longer context, --retry-failed sends it "
        "again"
    )
    assert own.detail.endswith("context of 256")


def test_a_template_without_a_system_role_is_asked_again_with_its_text_in_the_user_message(
    tmp_path,
):
    strict = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    )
    prompts = renderer_of(tmp_path, template=strict + CHAT_TEMPLATE)
    with_system, plain = request("where ?", system="one two"), request("where ?")
    assert (
        prompts.render(with_system)[0].split() == "<|user|> one two where ? <|assistant|>".split()
    )
    assert prompts.is_folded(with_system)
    assert len(prompts.notes()) == 1
    assert not isinstance(prompts.render(plain), RequestFailure)
    assert not prompts.is_folded(plain)
    assert list(prompts.messages(plain)) == plain.messages
