"""log_metric, log_param, set_tag, save_artifact and their like, inside of a job and outside."""

from __future__ import annotations

import decimal
import fractions
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import foundations
from foundations.errors import JournalError

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


class Tensor:
    """What the scalars of array libraries have in common."""

    def __init__(self, element, shape=(), error=None):
        self._element = element
        self._error = error
        self.shape = shape
        self.dtype = "float32"

    def item(self):
        if self._error:
            raise self._error
        return self._element


class EagerTensor:
    """TensorFlow's: no `item`, but `numpy`."""

    shape = ()

    def numpy(self):
        return Tensor(0.5)


class LongDouble:
    """NumPy's `longdouble`: its `item` is itself."""

    shape = ()

    def item(self):
        return self

    def __float__(self):
        return 0.25


class Index:
    def __index__(self):
        return 7


# --- where we are ----------------------------------------------------------------------------


def test_the_current_job(job):
    here = foundations.current_job()
    assert (here.job_id, here.project, here.user) == ("a1b2", "vision", "ada")
    assert (here.project_name, here.user_name) == ("vision", "ada")
    assert here.attempt_dir == str(job.attempt_dir)


def test_outside_of_a_job_everything_is_a_remark_made_once(outside, capsys):
    assert foundations.current_job() is None
    foundations.log_metric("m", 1)
    foundations.log_param("p", 1)
    foundations.log_params({"p": 1})
    foundations.set_tag("t")
    foundations.set_project_name("p")
    assert capsys.readouterr().err == "Foundations WARNING: Script not run with Foundations.\n"
    assert list(outside.iterdir()) == []


def test_outside_of_a_job_mistakes_are_still_found(outside):
    with pytest.raises(TypeError):
        foundations.log_metric("m", None)
    with pytest.raises(TypeError):
        foundations.log_param("p", object())


def test_a_program_without_stderr_goes_on(outside, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    foundations.log_metric("m", 1)


# --- metrics ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (1, 1),
        (0.5, 0.5),
        ("text", "text"),
        (True, True),
        (10**30, 10**30),
        (math.inf, math.inf),
        (Tensor(0.5), 0.5),
        (Tensor(3), 3),
        (Tensor(True), True),
        (EagerTensor(), 0.5),
        (LongDouble(), 0.25),
        (Index(), 7),
        (decimal.Decimal("0.1"), 0.1),
        (fractions.Fraction(1, 2), 0.5),
    ],
)
def test_a_metric_is_kept_as_a_plain_value(job, given, kept):
    foundations.log_metric("m", given)
    (event,) = job.events("metric")
    assert event == {"key": "m", "value": kept, "step": None}
    assert type(event["value"]) is type(kept)


def test_numpy_scalars_and_arrays_of_no_dimension(job):
    numpy = pytest.importorskip("numpy")
    accepted = [
        numpy.float16(0.5),
        numpy.float32(0.5),
        numpy.float64(0.5),
        numpy.longdouble(0.5),
        numpy.int64(3),
        numpy.uint8(3),
        numpy.bool_(True),
        numpy.array(0.5, dtype="float32"),
        numpy.str_("text"),
    ]
    foundations.log_metric("m", accepted)
    values = [event["value"] for event in job.events("metric")]
    assert values == [0.5, 0.5, 0.5, 0.5, 3, 3, True, 0.5, "text"]
    for refused in (numpy.array([0.5]), numpy.complex64(1), numpy.bytes_(b"x")):
        with pytest.raises(TypeError):
            foundations.log_metric("m", refused)
    foundations.log_params({"lr": numpy.float32(0.5), "sizes": numpy.array([1, 2])})
    assert job.params() == {"lr": 0.5, "sizes_0": 1, "sizes_1": 2}


def test_a_list_is_one_value_after_the_other(job):
    foundations.log_metric("m", [1, Tensor(2.5), "x"], step=4)
    foundations.log_metric("m", [])
    foundations.log_metric("m", 1, step=Tensor(5))
    assert job.events("metric") == [
        {"key": "m", "value": 1, "step": 4},
        {"key": "m", "value": 2.5, "step": 4},
        {"key": "m", "value": "x", "step": 4},
        {"key": "m", "value": 1, "step": 5},
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        (1, 2),
        [[1]],
        [1, None],
        b"x",
        1j,
        object(),
        Tensor(1, shape=(1,)),
        Tensor([1, 2], shape=(2,)),
        Tensor(None, error=RuntimeError("the tensor is on a lost device")),
        Tensor(b"x"),
    ],
)
def test_what_is_no_metric_is_refused_and_leaves_nothing(job, value):
    with pytest.raises(TypeError, match='Invalid metric with key="m"'):
        foundations.log_metrics({"good": 1, "m": value})
    assert job.events() == []


def test_the_refusal_shows_a_short_form_of_the_value(job):
    with pytest.raises(TypeError) as refusal:
        foundations.log_metric("m", {"a": "x" * 100})
    text = str(refusal.value)
    assert "value={'a': 'xxxxxxxxxxxxxxxxxxxxxxx ... with type <class 'dict'>." in text
    assert "string or number, or a list of strings / numbers" in text


def test_why_a_tensor_could_not_be_read_is_said(job):
    with pytest.raises(TypeError, match="on a lost device"):
        foundations.log_metric("m", Tensor(None, error=RuntimeError("on a lost device")))


@pytest.mark.parametrize("key", [None, 1, b"m"])
def test_a_metric_is_called_by_a_text(job, key):
    with pytest.raises(ValueError, match="Invalid metric name `{}`".format(key)):
        foundations.log_metric(key, 1)


@pytest.mark.parametrize("step", ["1", math.nan, math.inf, [1], Tensor(1, shape=(1,))])
def test_a_step_is_a_finite_number(job, step):
    with pytest.raises(TypeError, match="step"):
        foundations.log_metric("m", 1, step=step)
    assert job.events() == []


def test_metrics_together(job):
    foundations.log_metrics({"loss": 0.5, "accuracy": [0.1, 0.2]}, step=1)
    assert [(e["key"], e["value"], e["step"]) for e in job.events("metric")] == [
        ("loss", 0.5, 1),
        ("accuracy", 0.1, 1),
        ("accuracy", 0.2, 1),
    ]
    with pytest.raises(TypeError, match="dictionary"):
        foundations.log_metrics([1])


def test_a_value_too_large_to_show_is_refused_by_name(job):
    with pytest.raises(JournalError, match='"m"'):
        foundations.log_metric("m", ["fine", "x" * 2_000_000])
    assert job.events() == []


# --- parameters ------------------------------------------------------------------------------


def test_a_parameter_is_any_json_value(job):
    foundations.log_param("a", [1, (2, Tensor(3.5)), {"x": None, 4: True}])
    foundations.log_param("b", "first")
    foundations.log_param("b", "last")
    foundations.log_param(1, Tensor(2))
    assert job.params() == {
        "a": [1, [2, 3.5], {"x": None, "4": True}],
        "b": "last",
        "1": 2,
    }


def test_parameters_together_are_flattened(job):
    foundations.log_params({"a": {"b": [1, Tensor(2)]}, "c": None, "d": {}})
    assert job.params() == {"a_b_0": 1, "a_b_1": 2, "c": None, "d": None}
    assert len(job.events()) == 1


circular = []
circular.append(circular)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"x", {"a": object()}, {(1, 2): 3}, [Tensor(1, (1,))], circular]
)
def test_what_json_cannot_hold_is_refused_by_name_and_leaves_nothing(job, value):
    with pytest.raises(TypeError, match='Parameter "bad"'):
        foundations.log_param("bad", value)
    assert job.events() == []


def test_a_parameter_among_many_that_cannot_be_kept_stops_them_all(job):
    with pytest.raises(TypeError, match='"bad_x"'):
        foundations.log_params({"good": 1, "bad": {"x": object()}})
    with pytest.raises(TypeError, match="dictionary"):
        foundations.log_params([1])
    assert job.events() == []


def test_any_number_of_parameters_can_be_logged(job):
    many = {"parameter {}".format(i): "x" * 100 for i in range(20_000)}
    foundations.log_params(many)
    assert job.params() == many
    with pytest.raises(JournalError, match='"huge"'):
        foundations.log_params({**many, "huge": "x" * 2_000_000})
    assert job.params() == many


# --- tags and project ------------------------------------------------------------------------


def test_tags_are_text(job):
    foundations.set_tag("baseline")
    foundations.set_tag("Loss, best", 84)
    foundations.set_tags({"a": None, "b": True, 3: [1]})
    assert [(event["key"], event["value"]) for event in job.events("tag")] == [
        ("baseline", ""),
        ("Loss, best", "84"),
        ("a", "None"),
        ("b", "True"),
        ("3", "[1]"),
    ]
    with pytest.raises(TypeError, match="dictionary"):
        foundations.set_tags(["a"])


def test_a_tag_set_again_is_remarked_on(job, capsys):
    foundations.set_tag("phase", "early")
    foundations.set_tag("phase", "early")
    assert capsys.readouterr().err == ""
    foundations.set_tag("phase", "late")
    assert capsys.readouterr().err == ('Foundations WARNING: Tag "phase" is updated to "late".\n')
    assert [event["value"] for event in job.events("tag")] == ["early", "early", "late"]


def test_the_project(job):
    foundations.set_project_name("speech")
    foundations.set_project_name()
    assert job.events("project") == [{"name": "speech"}, {"name": "default"}]
    for impossible in (" ", "a/b", "a\n", None):
        with pytest.raises(ValueError, match="project"):
            foundations.set_project_name(impossible)


# --- artifacts -------------------------------------------------------------------------------


def test_an_artifact_is_copied_at_once(job):
    path = job.cwd / "my model.bin"
    path.write_bytes(b"epoch 1")
    foundations.save_artifact("my model.bin")
    path.write_bytes(b"epoch 22")
    foundations.save_artifact(path, key="last")
    first, second = job.events("artifact")
    assert (job.artifacts_dir / first.pop("staged")).read_bytes() == b"epoch 1"
    assert (job.artifacts_dir / second.pop("staged")).read_bytes() == b"epoch 22"
    common = {"filename": "my model.bin", "folder": False}
    assert first == {"key": "my model.bin", "size": 7, **common}
    assert second == {"key": "last", "size": 8, **common}


def test_files_of_one_name_from_two_folders_do_not_collide(job):
    for folder in ("a", "b"):
        (job.cwd / folder).mkdir()
        (job.cwd / folder / "plot.png").write_text(folder)
        foundations.save_artifact(folder + "/plot.png", key=folder)
    kept = {e["key"]: (job.artifacts_dir / e["staged"]).read_text() for e in job.events("artifact")}
    assert kept == {"a": "a", "b": "b"}


def test_a_key_used_again_is_remarked_on(job, capsys):
    (job.cwd / "f").write_text("x")
    foundations.save_artifact("f", "model")
    assert capsys.readouterr().err == ""
    foundations.save_artifact("f", "model")
    assert capsys.readouterr().err == (
        'Foundations WARNING: Artifact "model" already exists - overwriting.\n'
    )
    for epoch in range(2):
        foundations.save_artifact("f", "model", step=epoch)
    assert capsys.readouterr().err == ""
    assert [saved.get("step") for saved in job.events("artifact")] == [None, None, 0, 1]
    with pytest.raises(TypeError, match="finite number"):
        foundations.save_artifact("f", "model", step="first")


def test_a_folder_is_one_artifact(job):
    folder = job.cwd / "out"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "a.txt").write_text("aa")
    (folder / "deep" / "b.txt").write_text("bbb")
    (folder / "deep" / "b.txt").chmod(0o400)
    (folder / "deep" / "latest").symlink_to("b.txt")
    (folder / "self").symlink_to(".")
    (folder / "nowhere").symlink_to("absent")
    (job.cwd / "data").mkdir()
    (job.cwd / "data" / "c.txt").write_text("c")
    (job.cwd / "data" / "inner").symlink_to("c.txt")
    (folder / "data").symlink_to(job.cwd / "data")
    (folder / "sideways").symlink_to("../out/a.txt")
    os.mkfifo(str(folder / "pipe"))
    foundations.save_artifact("out/", key="results")
    (event,) = job.events("artifact")
    copy = job.artifacts_dir / event.pop("staged")
    assert event == {"key": "results", "filename": "out", "size": 2 + 3 + 1 + 1 + 2, "folder": True}
    found = {
        str(path.relative_to(copy)): os.readlink(str(path))
        if path.is_symlink()
        else (path.read_text() if path.is_file() else None)
        for path in copy.glob("**/*")
        if "self/" not in str(path)
    }
    assert found == {
        "a.txt": "aa",
        "data": None,
        "data/c.txt": "c",
        "data/inner": "c",
        "deep": None,
        "deep/b.txt": "bbb",
        "deep/empty": None,
        "deep/latest": "b.txt",
        "self": ".",
        "sideways": "aa",
    }


def test_links_that_lead_round_in_circles_come_to_an_end(job):
    folder = job.cwd / "out"
    folder.mkdir()
    (folder / "up").symlink_to("..")
    (folder / "everything").symlink_to(job.attempt_dir)
    foundations.save_artifact("out")
    foundations.save_artifact("out")
    assert len(job.events("artifact")) == 2


def test_the_folder_that_artifacts_are_kept_in_cannot_be_one(job):
    with pytest.raises(ValueError, match="contains the place"):
        foundations.save_artifact(job.attempt_dir)
    assert job.events() == []


def test_what_cannot_be_copied_is_an_error_and_leaves_nothing(job):
    with pytest.raises(FileNotFoundError, match="absent"):
        foundations.save_artifact("absent")
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        foundations.save_artifact(os.devnull)
    (job.cwd / "f").write_text("x")
    with pytest.raises(ValueError, match="artifact key"):
        foundations.save_artifact("f", key=3)
    assert job.events() == []
    assert not job.artifacts_dir.exists()


def test_names_that_are_no_text_can_be_saved(job):
    name = b"caf\xe9.txt"
    with open(name, "w") as file:
        file.write("x")
    foundations.save_artifact(name)
    (event,) = job.events("artifact")
    assert (event["key"], event["filename"]) == ("caf?.txt", "caf?.txt")
    assert (job.artifacts_dir / event["staged"]).read_text() == "x"


def test_a_full_disk_costs_the_artifact_but_not_the_training(job):
    program = """
import foundations
with open("big", "wb") as file:
    file.truncate(100_000)
import errno, shutil
def full(source, target):
    open(target, "w").close()
    raise OSError(errno.ENOSPC, "No space left on device")
shutil.copyfile = full
foundations.save_artifact("big")
foundations.log_metric("m", 1)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert 'Artifact "big" is not saved' in ran.stderr
    assert [event["k"] for event in job.events()] == ["metric"]
    assert list(job.artifacts_dir.iterdir()) == []


def test_outside_of_a_job_no_artifact_is_saved_and_it_is_said_every_time(outside, capsys):
    foundations.save_artifact("absent")
    foundations.save_artifact("absent")
    assert (
        capsys.readouterr().err == "Foundations WARNING: Cannot save artifact outside of job.\n" * 2
    )


# --- many processes --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_every_process_of_a_job_records_and_nothing_is_doubled(job, method):
    program = """
import multiprocessing, sys, warnings
import foundations
def log(rank):
    for i in range(50):
        foundations.log_metric("rank %d" % rank, i)
if __name__ == "__main__":
    foundations.log_metric("main", 1)
    context = multiprocessing.get_context(sys.argv[1])
    processes = [context.Process(target=log, args=(rank,)) for rank in range(4)]
    for process in processes: process.start()
    for process in processes: process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    foundations.log_metric("main", 2)
"""
    script = job.cwd / "main.py"
    script.write_text(program)
    ran = subprocess.run(
        [sys.executable, str(script), method],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    found = {}
    for event in job.events("metric"):
        found.setdefault(event["key"], []).append(event["value"])
    assert found == {
        "main": [1, 2],
        **{"rank {}".format(rank): list(range(50)) for rank in range(4)},
    }
    assert len(list(job.journal_dir.iterdir())) == 5
