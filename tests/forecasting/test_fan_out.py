"""Where chunks are computed changes no number: threads, one by one, or a real Dask cluster that loses a worker."""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import partial
from operator import neg

import numpy as np
import pytest
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_info, threadpool_limits

from forecasting.calendar import CivilCalendar
from forecasting.dask_fan_out import DaskFanOut
from forecasting.fan_out import FanOutError, Threads, chosen_fan_out, computed_by
from forecasting.models import boosted, chunks, default_forecaster, training
from forecasting.models.boosted import learn_boosted
from tests.forecasting.histories import counts, days_before, matrix, office_rates

SERIES, DAYS = 60, 63
CALENDARS = [
    CivilCalendar("Europe/Berlin", "DE"),
    CivilCalendar("America/New_York", "US"),
    CivilCalendar("Asia/Jerusalem", "IL"),
]


class Counted:
    """A pool that counts what it is given."""

    def __init__(self, inner):
        self.inner = inner
        self.computed = 0

    def map(self, task, items):
        for found in self.inner.map(task, items):
            self.computed += 1
            yield found


class LosesWorkers:
    """A cluster one of whose workers is killed when the first two results of each map are there."""

    def __init__(self, inner):
        self.inner = inner
        self.killed = set()

    def map(self, task, items):
        for index, found in enumerate(self.inner.map(task, items)):
            if index == 1:
                pid = next(iter(self.inner.client.run(os.getpid).values()))
                os.kill(pid, signal.SIGKILL)
                self.killed.add(pid)
            yield found


@contextmanager
def local_cluster(workers):
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield cluster, client


@pytest.fixture(scope="module")
def client():
    with local_cluster(2) as (_, client):
        yield client


@pytest.fixture(scope="module")
def made_by():
    """What was learnt and forecast of sixty series in three zones, in chunks of five, by the pool that is given."""
    grid = days_before("2026-05-28", DAYS)
    sizes = np.random.default_rng(2).lognormal(0, 1, (SERIES, 1))
    load = counts(office_rates(grid) * sizes, SERIES)
    load[::7, : 20 * 24] = np.nan
    load[3, 500:520] = np.nan
    history, calendars = matrix(grid, load), [CALENDARS[row % 3] for row in range(SERIES)]
    grown = {}

    def learn_once(rows, table):
        # Trees grow from these rows alone, where the training was asked for, and take longer than all the rest.
        key = rows.context.tobytes() + rows.scaled.tobytes() + table.table.tobytes()
        if key not in grown:
            grown[key] = learn_boosted(rows, table)
        return grown[key]

    def make(pool):
        with pytest.MonkeyPatch.context() as patch, computed_by(pool):
            patch.setattr(chunks, "CELLS", 5 * (DAYS // 7 + 1) * 168)
            patch.setattr(boosted, "MOST_ROWS", 3000)
            patch.setattr(training, "learn_boosted", learn_once)
            model = default_forecaster().trained(history, calendars)
            return model, model.forecast(history, calendars, grid.after(48))

    return make


@pytest.fixture(scope="module")
def alone(made_by):
    pool = Counted(Threads(1))
    made = made_by(pool)
    assert pool.computed == 4 * SERIES / 5, "three passes of training and the forecast"
    assert made[0].learnt.boosted is not None
    return made


def differing(one, other, name="") -> Iterator[str]:
    """Names of the numbers that are not the same to the last bit."""
    if hasattr(one, "_predictors"):
        one, other = (tuple(tree.nodes for (tree,) in model._predictors) for model in (one, other))
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes():
            yield name
    elif parts := parts_of(one):
        for (part, mine), (_, its) in zip(parts, parts_of(other), strict=True):
            yield from differing(mine, its, f"{name}.{part}")
    elif one != other:
        yield name


def parts_of(value):
    if is_dataclass(value):
        return [(each.name, getattr(value, each.name)) for each in fields(value)]
    if isinstance(value, Mapping):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, tuple) else []


def test_a_cluster_learns_and_forecasts_the_same_numbers_even_when_it_loses_workers(made_by, alone, client):
    pool = LosesWorkers(DaskFanOut(client))
    assert list(differing(alone, made_by(pool))) == []
    assert len(pool.killed) == 4, "one in each of the three passes of training, and one while forecasting"


def test_threads_find_the_same_numbers(made_by, alone):
    assert list(differing(alone, made_by(Threads(3)))) == []


def blas_threads(_):
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def use_two_blas_threads():
    threadpool_limits(2, user_api="blas")


def test_every_pool_adds_up_on_one_thread_since_more_would_change_the_last_bits(client):
    # By tasks, since only the thread that has set the number before can set it again.
    for worker in client.nthreads():
        client.submit(use_two_blas_threads, workers=[worker], pure=False).result(timeout=30)
    with threadpool_limits(2, user_api="blas"):
        for pool in (Threads(2), DaskFanOut(client)):
            assert list(pool.map(blas_threads, range(3))) == 3 * [{1}]
        assert blas_threads(0) == {2}


def test_a_pool_is_chosen_for_a_block_only():
    before, pool = chosen_fan_out(), Threads(1)
    with computed_by(pool):
        assert chosen_fan_out() is pool
    assert chosen_fan_out() is before


class Watched:
    """Items that tell how many of them were taken whose results had not been handed out."""

    def __init__(self, items):
        self.items = items
        self.most = 0

    def through(self, pool):
        done, taken = [], 0

        def take():
            nonlocal taken
            for item in range(self.items):
                taken += 1
                self.most = max(self.most, taken - len(done))
                yield item

        for found in pool.map(neg, take()):
            done += [found]
        return done


@pytest.mark.parametrize("at_once", [1, 2])
def test_threads_take_items_no_earlier_than_they_can_compute_them(at_once):
    watched = Watched(20)
    assert watched.through(Threads(at_once)) == [-item for item in range(20)]
    assert watched.most <= at_once + 2


def test_a_cluster_takes_few_items_at_a_time(client):
    watched = Watched(40)
    assert watched.through(DaskFanOut(client)) == [-item for item in range(40)]
    assert watched.most <= 6


def test_what_a_task_raises_is_raised_as_it_is(client):
    for pool in (Threads(2), DaskFanOut(client)):
        with pytest.raises(ZeroDivisionError):
            list(pool.map(partial(divmod, 1), [1, 0, 2]))


def test_a_cluster_that_does_not_answer_or_has_ended_says_so():
    with pytest.raises(FanOutError, match=r"no Dask scheduler answers at foo://127\.0\.0\.1:9"):
        DaskFanOut.connected("foo://127.0.0.1:9")
    with local_cluster(0) as (cluster, client):
        with pytest.raises(FanOutError, match="has no workers"):
            list(DaskFanOut(client).map(abs, [1]))
        cluster.close()
        with pytest.raises(FanOutError, match="scheduler has ended"):
            list(DaskFanOut(client).map(abs, [1]))


def test_a_silent_cluster_is_given_up(client):
    with pytest.raises(FanOutError, match="TimeoutError"):
        list(DaskFanOut(client, give_up_after_s=0.05).map(time.sleep, [1.0]))


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(FanOutError, match=r"pip install 'calltide\[dask\]'"):
        DaskFanOut.connected("tcp://127.0.0.1:9")
