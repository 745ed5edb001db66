"""Figures for Prometheus: read by its own parser, from the application itself."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from client.talk.conversation import Conversation
from gateway.context import KEY, Context
from gateway.metrics import OUTCOMES

LATENCY = {"vad": 0.4, "asr": 0.05, "llm_first_token": 0.01, "encode": 0.02, "total": 0.48}


def figures(app: Flask) -> dict[tuple[str, ...], float]:
    """What a scraper sees: the value by name and the values of its labels, in the order of their names."""
    answer = app.test_client().get("/metrics", base_url="http://127.0.0.1")
    assert answer.status_code == 200
    samples = [one for family in text_string_to_metric_families(answer.text) for one in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


@pytest.fixture
def context(gateway: Flask) -> Context:
    return gateway.extensions[KEY]


def over(outcome: str, latency: dict[str, float]) -> SimpleNamespace:
    """A reply as far as figures care."""
    return SimpleNamespace(outcome=outcome, latency=dict(latency))


def test_every_outcome_is_there_before_it_happened(gateway: Flask) -> None:
    assert {figures(gateway)["visavis_replies_total", outcome] for outcome in OUTCOMES} == {0.0}


def test_a_reply_counts_once_and_each_of_its_stages_with_it(gateway: Flask, context: Context) -> None:
    context.metrics.reply_over(over("done", LATENCY))
    context.metrics.reply_over(over("failed", {}))
    found = figures(gateway)
    assert [found["visavis_replies_total", outcome] for outcome in OUTCOMES] == [1.0, 0.0, 1.0, 0.0]
    assert found["visavis_reply_stage_seconds_sum", "vad"] == 0.4
    assert found["visavis_reply_stage_seconds_bucket", "0.05", "asr"] == 1.0
    assert found["visavis_reply_stage_seconds_bucket", "0.025", "asr"] == 0.0
    assert found["visavis_reply_first_fragment_seconds_sum", "speech"] == 0.48
    assert ("visavis_reply_stage_seconds_sum", "total") not in found, "it would be counted twice"


def test_who_is_here_is_counted(gateway: Flask, context: Context) -> None:
    chat = context.chats.create(Conversation(context.services, avatar="Ann"))
    assert (figures(gateway)["visavis_chats_open",], figures(gateway)["visavis_live_talks",]) == (1.0, 0.0)
    with chat.live(SimpleNamespace(end=lambda why=None: None)):
        assert figures(gateway)["visavis_live_talks",] == 1.0
    context.chats.delete(chat.id)
    assert (figures(gateway)["visavis_chats_open",], figures(gateway)["visavis_live_talks",]) == (0.0, 0.0)


def test_they_are_for_those_with_the_token(make_gateway: Callable[..., Flask]) -> None:
    client = make_gateway(token="a secret that is long").test_client()
    assert client.get("/metrics").status_code == 401
    answer = client.get("/metrics", headers={"Authorization": "Bearer a secret that is long"})
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
