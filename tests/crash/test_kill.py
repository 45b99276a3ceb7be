"""kill -9 at any moment of a write: nothing is lost but the write in flight, and the next start always succeeds."""

from pathlib import Path

from tests.crash.harness import survives_kills
from tests.crash.subjects import AnswerBookSubject, ArchiveSubject, CheckpointSubject, PlanBookSubject


def test_the_archive_survives_a_hundred_kills_while_it_appends_and_merges(tmp_path: Path) -> None:
    survives_kills(ArchiveSubject(tmp_path), kills=100, seed=1)


def test_the_answer_book_survives_fifty_kills(tmp_path: Path) -> None:
    survives_kills(AnswerBookSubject(tmp_path), kills=50, seed=2)


def test_the_plan_book_survives_fifty_kills(tmp_path: Path) -> None:
    survives_kills(PlanBookSubject(tmp_path), kills=50, seed=3)


def test_a_checkpoint_survives_fifty_kills(tmp_path: Path) -> None:
    survives_kills(CheckpointSubject(tmp_path), kills=50, seed=4)
