"""Jobs that a program begins itself, and programs that turn out to be none."""

from __future__ import annotations

import pytest
from tests.sdk.executing import Place, shown


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_block_is_a_job(place):
    done = place.run(
        """
        import foundations
        with foundations.start_job(
            project="digits", name="first", params={"rate": 0.1, "layers": [1, 2]}, tags={"a": 1}
        ) as job:
            foundations.log_metric("loss", 0.5)
            print("inside", job.job_id == foundations.current_job().job_id, job.project_name)
        print("outside", foundations.current_job())
        """
    )
    assert done.stdout == "inside True digits\noutside None\n"
    job = place.job()
    facts = job.facts()
    assert (facts["project"], facts["name"], facts["explicit"]) == ("digits", "first", True)
    assert job.events("params")[0]["values"] == {"rate": 0.1, "layers_0": 1, "layers_1": 2}
    assert [event["key"] for event in job.events("tag")] == ["a"]
    assert job.log() == "inside True digits\n"
    assert job.end()["exit_code"] == 0


def test_jobs_follow_each_other(place):
    place.run(
        """
        import foundations
        for rate in (0.1, 0.2, 0.3):
            with foundations.start_job():
                foundations.log_metric("rate", rate)
        """
    )
    found = [[event["value"] for event in job.events("metric")] for job in place.jobs()]
    assert found == [[0.1], [0.2], [0.3]]


def test_a_job_in_a_job_knows_it(place):
    place.run(
        """
        import foundations
        with foundations.start_job(name="outer"):
            foundations.log_metric("m", 1)
            with foundations.start_job(name="inner"):
                foundations.log_metric("m", 2)
            foundations.log_metric("m", 3)
        """
    )
    outer, inner = place.jobs()
    assert [event["value"] for event in outer.events("metric")] == [1, 3]
    assert [event["value"] for event in inner.events("metric")] == [2]
    assert inner.facts()["parent"] == outer.job_id
    assert outer.facts()["parent"] is None


def test_an_exception_ends_the_block_and_goes_on(place):
    done = place.run(
        """
        import foundations
        try:
            with foundations.start_job():
                raise KeyError("rate")
        except KeyError:
            print("caught")
        """
    )
    assert done.stdout == "caught\n"
    job = place.job()
    assert (job.end()["exit_code"], job.end()["message"]) == (1, "KeyError: 'rate'")
    assert job.events("error")[0]["type"] == "KeyError"


ENDS = {
    "sys.exit": ("import sys\nsys.exit(3)", 3),
    "os._exit": ("import os\nos._exit(4)", 4),
    "exception": ("raise ValueError('x')", 1),
    "end": ("pass", 0),
}


@pytest.mark.parametrize(("text", "code"), ENDS.values(), ids=ENDS)
def test_a_job_that_nobody_finishes_ends_with_the_program(place, text, code):
    begin = "import foundations\njob = foundations.start_job()\nfoundations.log_metric('m', 1)\n"
    assert place.run(begin + text).returncode == code
    assert place.job().end()["exit_code"] == code


def test_finishing_is_for_once(place):
    place.run(
        """
        import foundations
        job = foundations.start_job()
        job.finish(ValueError("no good"))
        job.finish()
        """
    )
    assert place.job().end()["message"] == "ValueError: no good"


def test_threads_train_at_the_same_time(place):
    done = place.run(
        """
        import threading
        import foundations
        together = threading.Barrier(3)
        def train(number):
            with foundations.start_job(name="thread %d" % number):
                together.wait()
                for step in range(20):
                    foundations.log_metric("number", number, step=step)
                print("number", number)
                together.wait()
        threads = [threading.Thread(target=train, args=(n,)) for n in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """
    )
    assert done.returncode == 0, done.stderr
    for job in place.jobs():
        number = int(job.facts()["name"].split()[1])
        assert [event["value"] for event in job.events("metric")] == [number] * 20
        assert job.log() == "number {}\n".format(number)


def test_a_thread_of_a_block_records_for_it(place):
    place.run(
        """
        import threading
        import foundations
        with foundations.start_job():
            thread = threading.Thread(target=foundations.log_metric, args=("m", 1))
            thread.start()
            thread.join()
        """
    )
    assert [event["value"] for event in place.job().events("metric")] == [1]


def test_a_function_is_a_job_each_time(place):
    done = place.run(
        """
        import foundations

        @foundations.as_job
        def train(rate, model=set, *, epochs=2):
            "Train."
            foundations.log_metric("loss", rate)
            return rate * epochs

        @foundations.as_job(project="other", name="named", tags={"kind": "b"}, log_arguments=False)
        def other():
            pass

        print(train(0.5), train(2, epochs=3), other(), train.__name__, train.__doc__)
        """
    )
    assert done.stdout == "1.0 6 None train Train.\n"
    first, second, third = place.jobs()
    assert first.facts()["name"] == "train"
    expected = {"rate": 0.5, "model": "<class 'set'>", "epochs": 2}
    assert first.events("params")[0]["values"] == expected
    assert second.events("params")[0]["values"]["epochs"] == 3
    assert (third.facts()["project"], third.facts()["name"]) == ("other", "named")
    assert third.events("params") == []


def test_a_program_that_has_recorded_something_stays_a_job(place):
    place.run(
        """
        import foundations
        foundations.log_param("search", "grid")
        with foundations.start_job():
            foundations.log_metric("loss", 1)
        foundations.log_metric("best", 1)
        """
    )
    whole, part = place.jobs()
    assert [event["key"] for event in whole.events("metric")] == ["best"]
    assert part.facts()["parent"] == whole.job_id


def test_blocks_work_where_programs_are_no_jobs(place):
    done = place.python(
        "-c",
        "import foundations\nwith foundations.start_job(): foundations.log_metric('m', 1)",
    )
    assert done.returncode == 0, done.stderr
    assert len(place.job().events("metric")) == 1


def test_blocks_are_none_where_it_is_turned_off(place):
    done = place.run(
        """
        import foundations
        with foundations.start_job(params={"rate": 1}) as job:
            foundations.log_metric("m", 1)
        print(repr(job.job_id))
        """,
        FOUNDATIONS_COMMAND_LINE="1",
    )
    assert done.stdout == "''\n"
    assert place.jobs() == []


def test_the_id_of_a_job_can_be_chosen(place):
    done = place.run(
        """
        import foundations
        with foundations.start_job(job_id="mine"):
            pass
        try:
            foundations.start_job(job_id="no/file")
        except ValueError as error:
            print(error)
        """
    )
    assert done.stdout == "'no/file' cannot be a job's ID.\n"
    assert place.job().job_id == "mine"


def test_the_first_job_of_a_submitted_one_is_that_one(place):
    attempt = place.root / "work" / "a1" / "1"
    for name in ("journal", "artifacts"):
        (attempt / name).mkdir(parents=True)
    done = place.run(
        """
        import json
        import foundations
        seen = []
        for rate in (0.1, 0.2):
            with foundations.start_job(params={"rate": rate}) as job:
                foundations.log_metric("m", rate)
                seen.append(job.job_id)
        seen.append(foundations.current_job().job_id)
        print(json.dumps(seen))
        """,
        FOUNDATIONS_ATTEMPT_DIR=str(attempt),
        FOUNDATIONS_JOB_ID="a1",
    )
    first, second, after = shown(done.stdout)
    own = place.job()
    assert (first, second, after) == ("a1", own.job_id, "a1")
    assert own.facts()["parent"] == "a1"
    assert [event["value"] for event in own.events("metric")] == [0.2]


# --- programs that are none after all --------------------------------------------------------


def test_a_search_that_only_submits_is_no_job(place):
    place.write("job/main.py", "")
    done = place.run(
        """
        import os, sys
        import foundations, foundations.errors
        print(foundations.current_job() is not None)
        try:
            foundations.submit("nowhere", "job", command="main.py")
        except foundations.errors.ConfigError as error:
            print(error.code, foundations.current_job(), sys.stdout is sys.__stdout__)
        print([name for name in os.environ if name.startswith("FOUNDATIONS")])
        """
    )
    assert done.stdout == "True\nbad_config None True\n['FOUNDATIONS_HOME']\n", done.stderr
    assert place.jobs() == []


def test_a_search_that_records_what_it_found_is_a_job(place):
    place.run(
        """
        import foundations, foundations.errors
        try:
            foundations.submit("nowhere", ".", command="main.py")
        except foundations.errors.ConfigError:
            pass
        foundations.log_metric("best", 1)
        """
    )
    job = place.job()
    assert [event["key"] for event in job.events("metric")] == ["best"]
    assert job.end()["exit_code"] == 0
