from scaler.core.answer import pods_apart
from scaler.core.fleets import PodState
from tests.scaler.core.made_up import observation, pod

SERVING, FAILED, STARTING = PodState.SERVING, PodState.FAILED, PodState.STARTING
DRAINING, DRAINED, RELEASED = PodState.DRAINING, PodState.DRAINED, PodState.RELEASED


def pods(state: PodState, count: int, name: str = "", **more: object) -> list:
    return [pod(f"{name or state}-{n}", state, **more) for n in range(count)]


def test_starting_pods_will_serve_and_draining_ones_can_be_recalled():
    apart = pods_apart(observation(4, *pods(SERVING, 1), *pods(STARTING, 1), *pods(DRAINING, 1), *pods(DRAINED, 1)), 4)
    assert (apart.not_serving, apart.recallable) == (0, 2)


def test_a_failed_pod_does_not_serve():
    assert pods_apart(observation(3, *pods(SERVING, 2), *pods(FAILED, 1)), 3).not_serving == 1


def test_a_bad_image_cannot_double_a_fleet():
    few = pods_apart(observation(5, *pods(FAILED, 5)), 5)
    many = pods_apart(observation(50, *pods(FAILED, 50)), 50)
    assert (few.failed, few.failed_waiting) == (1, 4)
    assert (many.failed, many.failed_waiting) == (5, 45)


def test_a_pod_that_is_being_replaced_does_not_serve_whatever_its_state():
    leaving = [pod("a", DRAINING, replacing=True), pod("b", DRAINED, replacing=True), pod("c", replacing=True)]
    apart = pods_apart(observation(4, *leaving, *pods(SERVING, 1)), 4)
    assert (apart.replacing, apart.recallable, apart.not_serving) == (3, 0, 3)


def test_a_pod_is_counted_once_however_often_it_is_seen():
    twice = [pod("same", FAILED), pod("same", FAILED)]
    assert pods_apart(observation(30, *twice, *pods(SERVING, 28)), 30).failed == 1
    failed_and_replacing = pods_apart(observation(2, pod("a", FAILED, replacing=True), pod("b")), 2)
    assert failed_and_replacing.not_serving == 1


def test_what_has_left_the_target_is_never_counted():
    gone = [
        pod("a", RELEASED, replacing=True),
        pod("b", PodState.TERMINATING, replacing=True),
        pod("c", PodState.TERMINAL),
    ]
    apart = pods_apart(observation(2, *gone, *pods(SERVING, 2)), 2)
    assert (apart.not_serving, apart.recallable) == (0, 0)


def test_old_pods_that_stand_beyond_the_target_are_not_counted():
    old = pods(DRAINING, 4, "old", replacing=True, current_revision=False)
    assert pods_apart(observation(4, *old, *pods(STARTING, 4, "new")), 4).not_serving == 0


def test_an_old_pod_inside_the_target_is_counted_until_its_successor_stands():
    old = pods(SERVING, 3, "old", current_revision=False)
    leaving = pod("z-leaving", DRAINING, replacing=True, current_revision=False)
    assert pods_apart(observation(4, *old, leaving), 4).replacing == 1
    assert pods_apart(observation(4, *old, leaving, pod("new", STARTING)), 4).replacing == 0
