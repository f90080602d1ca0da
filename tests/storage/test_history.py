"""The history of a training run: nothing twice, and nothing lost."""

from project.storage.history import History, Point


def filled():
    history = History()
    history.add(0, 0, {"train/loss": 2.0})
    history.add(4, 0, {"train/loss": 0.1 + 0.2, "val/accuracy": 0.5})
    history.add(5, 1, {"train/loss": 1.0})
    return history


def test_a_file_gives_back_what_was_written_to_the_last_digit(tmp_path):
    filled().write(tmp_path / "history.csv")
    assert History.read(tmp_path / "history.csv").points == filled().points


def test_a_step_that_comes_again_takes_the_place_of_the_first():
    history = filled()
    history.add(5, 1, {"train/loss": 7.0})
    assert history.points[-1] == Point(5, 1, "train/loss", 7.0)
    assert len(history.points) == 4
    assert History([*filled().points, Point(5, 1, "train/loss", 7.0)]).points == history.points


def test_a_run_that_was_cut_off_goes_on_where_its_checkpoint_is():
    assert [point.step for point in filled().until(4).points] == [0, 4, 4]


def test_points_come_in_the_order_of_their_steps():
    history = filled()
    history.add(2, 0, {"probe/gap": 0.0})
    assert [point.step for point in history.points] == [0, 2, 4, 4, 5]
