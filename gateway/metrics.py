"""Figures for Prometheus: how replies end, how long their stages take, how many people are here.

They live in this process's memory, like the chats: the gateway is one process. No label holds anything of a user.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from client.talk.conversation import Reply

OUTCOMES = ("done", "interrupted", "failed", "timed_out")
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)


class Metrics:
    """The figures of one gateway, since it started. `chats_open` and `live_talks` count those of now."""

    def __init__(self, chats_open: Callable[[], float], live_talks: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        self._replies = Counter("visavis_replies", "Replies by how they ended.", ["outcome"], registry=registry)
        for outcome in OUTCOMES:
            self._replies.labels(outcome)
        self._stages = Histogram(
            "visavis_reply_stage_seconds",
            "Time that a stage of a reply took, up to its first fragment at the client.",
            ["stage"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._first_fragment = Histogram(
            "visavis_reply_first_fragment_seconds",
            "Time from the end of the user's speech or text until the reply's first fragment is sent.",
            ["asked"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        Gauge("visavis_chats_open", "Chats in memory.", registry=registry).set_function(chats_open)
        Gauge("visavis_live_talks", "Live talks going on.", registry=registry).set_function(live_talks)
        ProcessCollector(registry=registry)

    def reply_over(self, reply: Reply) -> None:
        """Count a reply that is over, and the time it took up to its first fragment."""
        self._replies.labels(reply.outcome).inc()
        stages = reply.latency
        if stages:
            self._first_fragment.labels("speech" if "asr" in stages else "text").observe(stages.pop("total"))
        for stage, seconds in stages.items():
            self.stage_over(stage, seconds)

    def stage_over(self, stage: str, seconds: float) -> None:
        """Note how long one stage took."""
        self._stages.labels(stage).observe(seconds)

    def exposition(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self._registry)
