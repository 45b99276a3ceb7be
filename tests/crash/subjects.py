"""What calltide writes while a kill may come: archive and checkpoints, KEDA's answer book, the plan book."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forecasting.archive import Archive, Coverage, DatasetKey
from forecasting.checkpoints import Checkpoints, Trained, TrainedOn
from forecasting.errors import ArchiveError
from forecasting.grid import SlotGrid
from forecasting.load import LoadMatrix, Measure
from keda_external_scaler.book import HOURS_OF_A_WEEK, Book, BookEntry
from keda_external_scaler.book_file import open_book, write_book
from keda_external_scaler.errors import BookError
from scaler.core.fleets import FleetKey
from scaler.core.inputs import LastPlan
from scaler.core.plan_book import FleetPages, PlanBook
from scaler.errors import StateError
from scaler.service.plan_book_file import FILE_NAME, read_plan_book, write_plan_book

FLEETS = 200
KEY = DatasetKey("default", Measure.CHANNELS, 21_600, "0")


@dataclass(frozen=True)
class ArchiveSubject:
    """One slot after the other, with a merge every third; four slots are a day, so that days end all the time."""

    folder: Path
    error: type[Exception] = ArchiveError
    steps: int = 12  # append: write, fsync, rename, fsync; merge: the same, and four parts removed

    def write(self, number: int) -> None:
        archive = Archive(str(self.folder))
        values = np.full((3, 1), number, np.float32)
        grid = SlotGrid(number * KEY.step_s, KEY.step_s, 1)
        archive.append(KEY, LoadMatrix(KEY.measure, ("a", "b", "c"), grid, values))
        if number % 3 == 0:
            archive.compact(KEY)

    def newest(self) -> int:
        archive = Archive(str(self.folder))
        extent = archive.extent(KEY)
        if extent is None:
            return 0
        assert extent.start_s == KEY.step_s
        load = archive.load(KEY, extent)
        assert (load.values == np.arange(1, extent.slots + 1)).all(), load.values
        assert archive.coverage(KEY) == Coverage.of([(extent.start_s, extent.end_s)])
        assert archive.problems == ()
        return extent.slots


@dataclass(frozen=True)
class AnswerBookSubject:
    """The answer book, replaced as the control plane does it every few seconds; every number in it tells the write."""

    folder: Path
    error: type[Exception] = BookError
    steps: int = 3  # fsync, rename, fsync

    @property
    def path(self) -> Path:
        return self.folder / "answers.book"

    def write(self, number: int) -> None:
        pods = number % 30_000
        entries = tuple(
            BookEntry(
                namespace="voice",
                name=f"fleet-{fleet}",
                policy="default",
                tenants=(f"tenant-{fleet}",),
                pool=None,
                need=pods,
                answer=pods,
                alone=pods,
                active=True,
                replicas=pods,
                exact_tolerance=True,
                path_start_s=0,
                path_step_s=300,
                path=(pods,) * 576,
                week=(pods,) * HOURS_OF_A_WEEK,
            )
            for fleet in range(FLEETS)
        )
        write_book(self.path, Book(float(number), 0.0, 1.0, entries))

    def newest(self) -> int:
        if not self.path.exists():
            return 0
        book = open_book(self.path)
        number = int(book.written_at_s)
        assert len(book) == FLEETS
        for fleet in range(0, FLEETS, 20):
            entry = book.find("voice", f"fleet-{fleet}")
            assert entry is not None
            assert {entry.need, entry.answer, entry.alone, *entry.path, *entry.week} == {number % 30_000}
        return number


@dataclass(frozen=True)
class PlanBookSubject:
    """The plan book; every number in it tells the write."""

    folder: Path
    error: type[Exception] = StateError
    steps: int = 3  # fsync, rename, fsync

    def write(self, number: int) -> None:
        path = np.full(576, number, np.int32)
        week = np.full(HOURS_OF_A_WEEK, number, np.int32)
        page = FleetPages(
            "default", LastPlan(number, number, float(number)), SlotGrid(0, 300, 576), path, week, 0, number
        )
        write_plan_book(self.folder, PlanBook({FleetKey("voice", f"fleet-{fleet}"): page for fleet in range(FLEETS)}))

    def newest(self) -> int:
        if not (self.folder / FILE_NAME).exists():
            return 0
        read = read_plan_book(self.folder)
        assert read.problem is None
        assert len(read.book.pages) == FLEETS
        (number,) = {page.last.need for page in read.book.pages.values()}
        for page in read.book.pages.values():
            assert (page.path == number).all()
            assert (page.week == number).all()
        return number


@dataclass(frozen=True)
class CheckpointSubject:
    """What a training left behind; every number in it tells the write."""

    folder: Path
    error: type[Exception] = ArchiveError
    steps: int = 4  # write, fsync, rename, fsync

    @property
    def trained_on(self) -> TrainedOn:
        return TrainedOn("fleets", "numbers", 300, 576, tuple(f"fleet-{fleet}" for fleet in range(FLEETS)), ())

    def write(self, number: int) -> None:
        # Any value with an array in it: a file does not know what a model is.
        numbers = np.full((FLEETS, 576), number, np.float32)
        learnt = LoadMatrix(Measure.CHANNELS, self.trained_on.series, SlotGrid(0, 300, 576), numbers)
        Checkpoints(str(self.folder), KEY).write(Trained(self.trained_on, number, learnt))

    def newest(self) -> int:
        read = Checkpoints(str(self.folder), KEY).read(self.trained_on, 0, 10**9)
        assert read.problem is None
        if read.trained is None:
            return 0
        assert (read.trained.model.values == read.trained.trained_until_s).all()
        return read.trained.trained_until_s
