import csv

from fima.engine.callbacks.progress import describe
from fima.engine.callbacks.record import MetricsFile


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_after_the_step_of_a_resume_go(tmp_path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    for step in (1, 2, 3, 4):
        file.append({"step": step, "loss": step / 4})
    again = MetricsFile(path)
    again.keep_until(2)
    again.append({"step": 3, "loss": 9.0})
    assert [(row["step"], row["loss"]) for row in table(path)] == [("1", "0.25"), ("2", "0.5"), ("3", "9")]


def test_a_half_written_last_row_goes_too(tmp_path):
    path = tmp_path / "metrics.csv"
    MetricsFile(path).append({"step": 10, "loss": 1.0})
    path.write_text(path.read_text() + "2")  # killed while writing step 20
    file = MetricsFile(path)
    file.keep_until(10)
    assert [row["step"] for row in table(path)] == ["10"]


def test_new_columns_come_at_the_end(tmp_path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    file.append({"step": 1, "loss": 1.0})
    file.append({"step": 2, "loss": 2.0, "extra": 3.0})
    file.append({"step": 3, "loss": 1.5})
    assert list(table(path)[0]) == ["step", "loss", "extra"]
    assert [row["extra"] for row in table(path)] == ["", "3", ""]


def test_resuming_before_the_first_row(tmp_path):
    path = tmp_path / "metrics.csv"
    MetricsFile(path).keep_until(0)
    assert not path.exists()
    file = MetricsFile(path)
    file.append({"step": 5, "loss": 1.0})
    file = MetricsFile(path)
    file.keep_until(0)
    file.append({"step": 5, "loss": 2.0})
    assert [row["loss"] for row in table(path)] == ["2"]


def test_a_row_in_one_line():
    row = {"step": 20, "epoch": 2.5, "loss": 9.0, "instance": 4.0, "pixel": 5.0, "accuracy_instance": 0.25}
    row |= {"spread": 0.5, "alignment": 1.0, "uniformity": -1.0, "learning_rate": 0.1, "clips_per_second": 12.34}
    text = describe(row | {"data_wait": 0.031}, 10)
    assert text == (
        "epoch 2.5/10  loss 9.000 (instance 4.000, pixel 5.000)  accuracy instance 0.250  spread 0.50  12.3 clips/s  "
        "waiting for data 3%"
    )
