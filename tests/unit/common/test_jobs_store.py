"""The job table: idempotent, claimed once, fenced, ordered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from basics.problem import Problem
from services.common.errors import InvalidInput, NotFound
from services.common.jobs import calls
from services.common.jobs.store import MAX_REQUEST_ID, JobStore, State


def test_the_same_request_id_gives_the_same_job(store: JobStore) -> None:
    first = store.create("training", {"a": 1}, request_id="r")
    assert store.create("training", {"a": 2}, request_id="r") == store.get(first.id)
    assert store.create("generation", {}, request_id="r").id != first.id
    assert store.create("training", {}).id != store.create("training", {}).id


def test_a_job_of_another_kind_is_not_found(store: JobStore) -> None:
    job = store.create("training", {})
    with pytest.raises(NotFound):
        store.get(job.id, "generation")
    with pytest.raises(NotFound):
        calls.cancel(store, "generation", job.id)
    assert store.get(job.id).state is State.QUEUED


def test_every_job_is_claimed_once_however_many_runners_there_are(store: JobStore) -> None:
    ids = {store.create("training", {}).id for _ in range(20)}
    claimed: list[str] = []

    def take(runner: str) -> None:
        while job := store.claim("training", "cpu", runner):
            claimed.append(job.id)

    threads = [threading.Thread(target=take, args=(f"runner {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


def test_the_oldest_comes_first_and_only_on_the_device_it_asked_for(store: JobStore) -> None:
    on_gpu = store.create("training", {"device": "cuda:0"}, device="cuda:0")
    anywhere = store.create("training", {})
    last = store.create("training", {})
    assert [store.queue_index(job) for job in (on_gpu, anywhere, last)] == [0, 1, 2]
    assert store.claim("training", "cpu", "r").id == anywhere.id
    assert store.claim("training", "cuda:0", "r").id == on_gpu.id
    assert store.claim("generation", "cpu", "r") is None
    assert store.claim("training", "cpu", "r", only_asked=True) is None
    assert store.claim("training", "cpu", "r").id == last.id


def test_waiting_jobs_are_not_claimed_until_their_input_has_come(store: JobStore) -> None:
    job = store.create("generation", {}, waiting=True)
    assert store.claim("generation", "cpu", "r") is None
    store.update(job.id, only=(State.WAITING,), state=State.QUEUED)
    assert store.claim("generation", "cpu", "r").id == job.id


def test_a_lost_job_is_queued_again_and_its_old_runner_can_no_longer_change_it(store: JobStore) -> None:
    job = store.create("training", {})
    silent = store.claim("training", "cpu", "old")
    assert store.requeue(silent, heard_at=silent.heartbeat_at, counts_as="loss")
    assert store.claim("training", "cpu", "new").attempt == 1
    assert not store.update(job.id, held_by="old", progress=0.9)
    assert not store.finish(job.id, State.FAILED, held_by="old")
    assert store.get(job.id).state is State.RUNNING


def test_a_job_that_was_heard_of_at_the_last_moment_is_not_lost(store: JobStore) -> None:
    job = store.create("training", {})
    silent = store.claim("training", "cpu", "r")
    store.update(job.id, heartbeat_at=time.time() + 0.001)
    assert not store.requeue(silent, heard_at=silent.heartbeat_at)
    assert store.get(job.id).state is State.RUNNING


def test_a_failed_job_is_resumed_as_if_nothing_had_happened(store: JobStore) -> None:
    job = store.create("training", {"device": "cuda:0"}, device="cuda:0")
    assert not store.resume(job)
    store.claim("training", "cuda:0", "r")
    store.finish(job.id, State.FAILED, error=Problem("CRASHED", "…"), progress=0.4, attempt=4)
    failed = store.get(job.id)
    assert (failed.can_resume(1), failed.can_resume(0)) == (True, False)
    assert [one.id for one in store.failed("training")] == [job.id]
    assert store.resume(failed)
    fresh = store.get(job.id)
    assert (fresh.state, fresh.error, fresh.attempt, fresh.progress, fresh.ended_at) == (State.QUEUED, None, 0, 0.4, 0)
    assert store.claim("training", "cuda:0", "r").attempt == 1
    assert not store.resume(failed), "it runs"


def test_a_requeued_job_asks_for_its_own_device_again(store: JobStore) -> None:
    job = store.create("training", {"device": ""})
    store.requeue(store.claim("training", "cpu", "r"), counts_as="nothing")
    assert (store.get(job.id).device, store.get(job.id).attempt) == ("", 0)


def test_cancel_ends_what_does_not_run_and_only_asks_what_does(store: JobStore) -> None:
    queued, running = store.create("training", {}), store.create("training", {})
    assert calls.cancel(store, "training", queued.id).state is State.CANCELLED
    store.claim("training", "cpu", "r")
    asked = calls.cancel(store, "training", running.id)
    assert (asked.state, asked.cancel_requested) == (State.RUNNING, True)
    store.finish(running.id, State.SUCCEEDED)
    assert calls.cancel(store, "training", running.id).state is State.SUCCEEDED


@pytest.mark.parametrize("happens", ["claim", "requeue"])
def test_a_cancel_is_not_lost_between_two_states(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, happens: str
) -> None:
    job = store.create("training", {})
    claimed = store.claim("training", "cpu", "r") if happens == "requeue" else None
    real = JobStore.finish

    def finish(self: JobStore, *arguments: Any, **options: Any) -> bool:
        if happens == "claim":  # just before
            store.claim("training", "cpu", "r")
            return real(self, *arguments, **options)
        done = real(self, *arguments, **options)
        store.requeue(claimed)  # just after
        return done

    monkeypatch.setattr(JobStore, "finish", finish)
    assert calls.cancel(store, "training", job.id).cancel_requested


def test_losses_are_counted_and_forgiven(store: JobStore) -> None:
    job = store.create("training", {})
    for counts_as in ("loss", "loss", "nothing", "attempt"):
        store.requeue(store.claim("training", "cpu", "r"), counts_as=counts_as)
    assert (store.get(job.id).losses, store.get(job.id).attempt) == (2, 1)
    store.finish(job.id, State.FAILED)
    assert store.resume(job)
    assert store.get(job.id).losses == 0


def test_a_table_of_a_version_before_gets_the_column_that_it_lacks(
    database_url: str, open_store: Callable[[], JobStore]
) -> None:
    job = open_store().create("training", {})
    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        for column in ("losses", "warnings"):
            connection.execute(sa.text(f"ALTER TABLE jobs DROP COLUMN {column}"))
    engine.dispose()
    failures: list[Exception] = []

    def start() -> None:
        try:
            open_store()
        except Exception as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (open_store().get(job.id).losses, open_store().get(job.id).warnings) == (0, ())


def test_a_snapshot_as_a_message(store: JobStore) -> None:
    job = store.create("training", {})
    store.claim("training", "cpu", "r")
    problem, details = Problem("NO_FACE", "…", "video", {"second": "3"}), {"step": 3, "steps": 9, "loss": 0.5}
    store.update(job.id, stage="face", eta_s=7.6, details=details, error=problem, warnings=(problem, problem))
    assert (store.get(job.id).error, store.get(job.id).warnings) == (problem, (problem, problem))
    message = calls.message(store, store.get(job.id), can_resume=False)
    assert (message.stage, message.step_index, message.step_count, message.loss) == ("face", 3, 9, 0.5)
    assert message.eta.seconds == 7
    assert [one.values["second"] for one in (message.error, *message.warnings)] == ["3"] * 3
    assert message.device == "cpu"


def test_services_that_start_together_make_one_table(open_store: Callable[[], JobStore]) -> None:
    failures: list[Exception] = []

    def start(number: int) -> None:
        try:
            open_store().create("training", {}, request_id=str(number))
        except Exception as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(open_store().list(("training",))) == 8


def test_the_longest_request_id_can_be_kept_and_a_longer_one_is_refused(store: JobStore) -> None:
    longest = "~" * MAX_REQUEST_ID
    calls.check_request_id(longest)
    assert store.find_request("generation", longest) is None
    made = store.create("generation", {}, request_id=longest)
    assert store.find_request("generation", longest) == made
    for bad in (longest + "x", "a\0b", "ключ"):
        with pytest.raises(InvalidInput) as refusal:
            calls.check_request_id(bad)
        assert (refusal.value.reason, refusal.value.field) == ("BAD_REQUEST_ID", "request_id")
        assert str(MAX_REQUEST_ID) in refusal.value.message
