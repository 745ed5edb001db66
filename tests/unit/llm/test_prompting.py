"""What language models are told."""

from __future__ import annotations

import pytest

from services.llm.engine import Message, Role
from services.llm.persona import SHIPPED, Personas
from services.llm.prompting import remembered, system_prompt

U, A = Role.USER, Role.ASSISTANT


@pytest.fixture(scope="module")
def visavis():
    return Personas(SHIPPED).get("visavis")


def test_the_prompt_holds_persona_manner_and_grounds(visavis):
    prompt = system_prompt(visavis, "en", ["Roses are red."])
    assert prompt.startswith("You are Visavis")
    assert "three short sentences" in prompt
    assert "Never use Markdown" in prompt
    assert prompt.endswith("Roses are red.")


def test_the_prompt_is_in_the_language_of_the_reply(visavis):
    assert "最多三句" in system_prompt(visavis, "zh-CN", [])
    assert "'fr'" in system_prompt(visavis, "fr", [])


def test_memory_keeps_the_latest_turns_and_begins_with_the_user():
    dialogue = [Message(U, "a" * 10), Message(A, "b" * 10), Message(U, "c" * 10), Message(A, "d" * 10), Message(U, "e")]
    assert remembered(dialogue, 100) == dialogue
    assert remembered(dialogue, 25) == dialogue[2:]
    assert remembered(dialogue, 15) == dialogue[4:]


def test_the_last_message_stays_however_long():
    assert remembered([Message(U, "x"), Message(A, "y"), Message(U, "z" * 99)], 10) == [Message(U, "z" * 99)]


def test_turns_alternate():
    dialogue = [Message(U, "one"), Message(U, "two"), Message(A, "three"), Message(A, "four"), Message(U, "five")]
    assert remembered(dialogue, 100) == [Message(U, "one\ntwo"), Message(A, "three\nfour"), Message(U, "five")]
