"""Eight writers at once, in threads and in processes, on S3 and on disk."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import date
from threading import Barrier, Event

from nightcast.registry.model_registry import ModelRegistry
from nightcast.storage import Storage
from registry_entries import NAME, NOON, entry, promote_all

WRITERS = 8


def shares(cut_offs, writers=WRITERS):
    """For each writer a run of its own under every cut-off, in an order of its own."""
    keys = [[(cut_off, f"manual__{writer}") for cut_off in cut_offs] for writer in range(writers)]
    return [own[writer:] + own[:writer] for writer, own in enumerate(keys)]


def check_all_are_there(registry, cut_offs, writers=WRITERS):
    expected = [entry(cut_off, f"manual__{writer}") for cut_off in cut_offs for writer in range(writers)]
    history = list(registry.history(NAME))
    assert [one.entry for one in history] == sorted(expected, key=lambda one: one.key, reverse=True)
    for cut_off in cut_offs:
        found = registry.champion_as_of(NAME, date.fromisoformat(cut_off))
        assert found.entry == entry(cut_off, f"manual__{writers - 1}")


def test_threads_lose_nothing_and_readers_see_whole_entries(registry, s3_options):
    cut_offs = [f"2009-01-0{day}" for day in range(1, 6)]
    start, done = Barrier(WRITERS), Event()

    def write(share):
        start.wait()
        return promote_all(s3_options, registry.root, share)

    def read():
        reader, seen = ModelRegistry(Storage(s3_options), registry.root), []
        while not done.is_set():
            seen.append(reader.champion_as_of(NAME, NOON))
        return [one.entry.key for one in seen if one is not None]

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reading = pool.submit(read)
        try:
            written = list(pool.map(write, shares(cut_offs)))
        finally:
            done.set()
    # What is champion of all only ever moves forward, as nothing is withdrawn.
    assert reading.result() == sorted(reading.result())
    assert len({digest for digests in written for digest in digests}) == WRITERS * len(cut_offs)
    check_all_are_there(registry, cut_offs)


def test_processes_lose_nothing(registry, s3_options):
    cut_offs = ["2009-01-01", "2009-01-02"]
    # boto3 takes each process a second to import.
    writers = WRITERS // 2 if registry.root.startswith("s3:") else WRITERS
    with ProcessPoolExecutor(writers, mp_context=multiprocessing.get_context("spawn")) as pool:
        tasks = [pool.submit(promote_all, s3_options, registry.root, share) for share in shares(cut_offs, writers)]
        assert sum(len(task.result()) for task in tasks) == writers * len(cut_offs)
    check_all_are_there(registry, cut_offs, writers)


def test_the_same_run_in_two_workers_leaves_one_whole_promotion(registry, s3_options):
    """A worker that was thought dead, and the one that took over, which has trained something else."""
    start = Barrier(WRITERS)
    models = [entry(model=f"model {number}") for number in range(WRITERS)]

    def write(one):
        start.wait()
        return ModelRegistry(Storage(s3_options), registry.root).promote(one)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, models))
    (kept,) = registry.history(NAME)
    assert kept.entry in models


def test_the_same_promotion_by_all_writers_is_one(registry, s3_options):
    start = Barrier(WRITERS)

    def write(_):
        start.wait()
        return ModelRegistry(Storage(s3_options), registry.root).promote(entry())

    with ThreadPoolExecutor(WRITERS) as pool:
        references = list(pool.map(write, range(WRITERS)))
    assert all(reference == references[0] for reference in references)
    assert [one.entry for one in registry.history(NAME)] == [entry()]
