"""Each step of each write fails once, with a full disk, a broken disk and a death: the old or the new is there."""

from itertools import count
from pathlib import Path

import pytest

from tests.crash.faults import CrashError, errors, failing, files_no_larger_than, recorded_syncs
from tests.crash.subjects import AnswerBookSubject, ArchiveSubject, CheckpointSubject, PlanBookSubject

SUBJECTS = [ArchiveSubject, CheckpointSubject, AnswerBookSubject, PlanBookSubject]
AnySubject = ArchiveSubject | CheckpointSubject | AnswerBookSubject | PlanBookSubject


@pytest.mark.parametrize("error", errors(), ids=["full", "broken", "death"])
@pytest.mark.parametrize("kind", SUBJECTS)
def test_old_or_new_whichever_step_fails(tmp_path: Path, kind: type[AnySubject], error: BaseException) -> None:
    for step in count():
        # A place of its own for each step: what the ninth write does is the same then, a merge of days that are over
        # included.
        (tmp_path / str(step)).mkdir()
        subject = kind(tmp_path / str(step))
        for number in range(1, 9):
            subject.write(number)
        with failing(step, error) as fault:
            try:
                subject.write(9)
            except (subject.error, CrashError):
                pass
            else:
                assert not fault.happened, "a failure that nobody heard of"
        assert subject.newest() in (8, 9), f"step {step}"
        subject.write(subject.newest() + 1)
        subject.write(subject.newest() + 1)
        assert subject.newest() >= 10, f"the writes after a failure at step {step}"
        if not fault.happened:
            break
    assert step >= subject.steps, f"only {step} steps were seen: the write goes around them"


@pytest.mark.parametrize("kind", SUBJECTS)
def test_a_write_that_the_kernel_cuts_short_is_an_error_and_the_old_stays(
    tmp_path: Path, kind: type[AnySubject]
) -> None:
    subject = kind(tmp_path)
    subject.write(1)
    for size in (0, 1, 100, 400):
        with files_no_larger_than(size), pytest.raises(subject.error, match="cannot be written"):
            subject.write(2)
        assert subject.newest() == 1
    subject.write(2)
    assert subject.newest() == 2


@pytest.mark.parametrize("kind", SUBJECTS)
def test_content_is_durable_before_the_name_and_the_name_before_the_write_is_acknowledged(
    tmp_path: Path, kind: type[AnySubject]
) -> None:
    subject = kind(tmp_path)
    subject.write(1)
    with recorded_syncs() as order:
        subject.write(2)
    assert order == ["file", "replace", "folder"]
