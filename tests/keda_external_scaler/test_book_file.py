"""The book on disk: what was written is read, and what is not a whole book is never used."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keda_external_scaler import book_format
from keda_external_scaler.book import HOURS_OF_A_WEEK, Book, BookEntry
from keda_external_scaler.book_file import BookReader, BookTaken, open_book, write_book
from keda_external_scaler.book_format import MAGIC, BookView, encode_book
from keda_external_scaler.errors import BookError
from tests.servers.keda import ACME, BORN_S, book_of, fleets
from tests.servers.processes import wait_for


def as_written(entry: BookEntry) -> BookEntry:
    """The entry with its slots as tuples, to compare."""
    return replace(entry, path=tuple(entry.path), week=tuple(entry.week))


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
counts = st.integers(0, 2**31 - 1)
entries = st.builds(
    BookEntry,
    namespace=text,
    name=text,
    policy=text,
    tenants=st.lists(text, max_size=4).map(tuple),
    pool=st.none() | text,
    need=counts,
    answer=counts,
    alone=counts,
    active=st.booleans(),
    replicas=counts,
    exact_tolerance=st.booleans(),
    path_start_s=st.integers(-(2**40), 2**40),
    path_step_s=st.integers(1, 86_400),
    path=st.lists(st.integers(0, 32_767), max_size=600).map(tuple),
    week=st.just(()) | st.lists(st.integers(-1, 32_767), min_size=168, max_size=168).map(tuple),
)
moments = st.floats(allow_nan=False, allow_infinity=False)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    book=st.builds(
        Book,
        moments,
        moments,
        moments,
        st.lists(entries, max_size=5, unique_by=lambda entry: (entry.namespace, entry.name)).map(tuple),
    )
)
def test_what_is_written_is_found_again(book):
    view = BookView(encode_book(book))
    assert (view.written_at_s, view.now_s, view.speed, len(view)) == (
        book.written_at_s,
        book.now_s,
        book.speed,
        len(book.entries),
    )
    for entry in book.entries:
        found = view.find(entry.namespace, entry.name)
        assert found is not None
        assert as_written(found) == entry
    assert view.find("nobody", "knows") is None


def test_fleets_whose_keys_share_a_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(book_format, "_key_hash", lambda namespace, name: 7)
    view = BookView(encode_book(book_of(*fleets(5))))
    assert [view.find("voice", f"fleet-{n}").tenants for n in range(5)] == [(f"tenant-{n}",) for n in range(5)]
    assert view.find("voice", "fleet-5") is None


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (replace(ACME, answer=-1), "answer -1 must not be negative"),
        (replace(ACME, path=(40_000,)), "slots hold up to 32767"),
        (replace(ACME, need=2**31), "voice/acme does not fit"),
        (replace(ACME, week=(1,)), f"week has 1 hours; give {HOURS_OF_A_WEEK}"),
        (replace(ACME, path_step_s=0), "path_step_s 0"),
        (replace(ACME, policy="\ud800"), "voice/acme does not fit"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_the_fleets_name(entry, complaint):
    with pytest.raises(BookError, match=complaint) as refused:
        encode_book(book_of(entry))
    assert "voice/acme" in str(refused.value)


def test_a_fleet_may_stand_in_a_book_only_once():
    with pytest.raises(BookError, match="voice/acme stands in the book twice"):
        encode_book(book_of(ACME, ACME))


def test_a_book_of_endless_times_is_refused():
    with pytest.raises(BookError, match="must be finite"):
        encode_book(book_of(ACME, written_at_s=float("nan")))


def spoilt(kind: str) -> bytes:
    whole = encode_book(book_of(ACME, *fleets(20)))
    if kind == "empty":
        return b""
    if kind == "cut":
        return whole[: len(whole) // 2]
    if kind == "cut inside the header":
        return whole[:20]
    if kind == "longer":
        return whole + b"\0"
    if kind == "one bit":
        return whole[:900] + bytes([whole[900] ^ 1]) + whole[901:]
    if kind == "another format":
        return MAGIC + struct.pack("=I", 99) + whole[12:]
    if kind == "zeros":
        return bytes(len(whole))
    return b"PK\x03\x04" + whole


SPOILT = ["empty", "cut", "cut inside the header", "longer", "one bit", "another format", "zeros", "foreign"]


@pytest.fixture
def looks() -> list[BookTaken]:
    return []


@pytest.fixture
def reader(tmp_path: Path, looks: list[BookTaken]) -> BookReader:
    return BookReader(tmp_path / "answers.book", looks.append)


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_file_is_reported_once_and_the_book_of_before_stays_in_use(tmp_path, reader, looks, kind):
    path = tmp_path / "answers.book"
    write_book(path, book_of(ACME))
    reader.look()
    path.write_bytes(spoilt(kind))
    reader.look()
    reader.look()
    assert [look.problem is None for look in looks] == [True, False]
    assert str(path) in looks[1].problem
    assert ("it was cut" in looks[1].problem) == (kind in {"cut", "longer"})
    assert reader.book.find("voice", "acme").answer == ACME.answer

    write_book(path, book_of(replace(ACME, answer=42)))
    reader.look()
    assert reader.book.find("voice", "acme").answer == 42


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_file_that_comes_first_is_no_book(tmp_path, reader, looks, kind):
    (tmp_path / "answers.book").write_bytes(spoilt(kind))
    reader.look()
    assert reader.book is None
    assert len(looks) == 1


@settings(derandomize=True, max_examples=300, deadline=None)
@given(at=st.integers(0, 10**9), flip=st.integers(1, 255))
def test_no_damaged_byte_goes_unseen(at, flip):
    whole = bytearray(encode_book(book_of(ACME, *fleets(3))))
    whole[at % len(whole)] ^= flip
    with pytest.raises(BookError):
        BookView(bytes(whole))


def test_a_file_that_is_cut_in_place_does_not_reach_the_book_in_use(tmp_path, reader):
    path = tmp_path / "answers.book"
    write_book(path, book_of(*fleets(50)))
    reader.look()
    os.truncate(path, 10)
    assert reader.book.find("voice", "fleet-49").answer == ACME.answer


def test_a_file_that_vanishes_leaves_the_book_in_use(tmp_path, reader, looks):
    path = tmp_path / "answers.book"
    write_book(path, book_of(ACME))
    reader.look()
    path.unlink()
    reader.look()
    assert reader.book is not None
    assert len(looks) == 1


def test_a_reader_that_runs_takes_each_new_book(tmp_path, reader):
    path = tmp_path / "answers.book"
    reader.start(every_s=0.01)
    try:
        assert reader.book is None
        write_book(path, book_of(ACME))
        wait_for(lambda: reader.book is not None, "the first book")
        write_book(path, book_of(ACME, written_at_s=BORN_S + 5))
        wait_for(lambda: reader.book.written_at_s == BORN_S + 5, "the next book")
    finally:
        reader.stop()


def test_a_book_that_cannot_be_written_leaves_the_old_one_and_says_where(tmp_path):
    path = tmp_path / "answers.book"
    write_book(path, book_of(ACME))
    with pytest.raises(BookError, match="twice"):
        write_book(path, book_of(ACME, ACME))
    assert open_book(path).find("voice", "acme").answer == ACME.answer
    with pytest.raises(BookError, match=r"missing/answers\.book: the answer book cannot be written: No such file"):
        write_book(tmp_path / "missing" / "answers.book", book_of(ACME))


# In an interpreter of its own: a process with gRPC's threads in it must not fork.
KILL_LOOP = """
import os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
from keda_external_scaler.book_file import open_book, write_book
from tests.servers.keda import book_of, fleets

path, entries, random = Path(sys.argv[1]), fleets(300), random.Random(7)
write_book(path, book_of(*entries, written_at_s=0.0))
newest, unfinished = 0.0, 0
for round in range(200):
    writer = os.fork()
    if writer == 0:
        n = newest
        while True:
            n += 1.0
            write_book(path, book_of(*entries, written_at_s=n))
    time.sleep(random.uniform(0.0, 0.03))
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    unfinished += path.with_name(f".{path.name}.new").exists()
    book = open_book(path)
    assert book.written_at_s >= newest and len(book) == 300, (round, book.written_at_s, newest)
    newest = book.written_at_s
assert sorted(entry.name for entry in path.parent.iterdir())[-1] == path.name
print(newest, unfinished)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_book(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILL_LOOP, str(tmp_path / "answers.book")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    written, unfinished = map(float, done.stdout.split())
    assert written > 0, "no writer ever finished"
    assert unfinished > 0, "no writer was ever killed while it wrote"
