"""Jobs in containers, as their users meet them: on a real engine, through the command line."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

RECORDING = """
import os
import foundations

params = foundations.load_parameters()
for step in range(3):
    foundations.log_metric("loss", 1 / (step + 1), step=step)
foundations.set_tag("user", str(os.getuid()))
os.makedirs("made", exist_ok=True)
with open("made/result.txt", "w") as file:
    file.write("rate " + str(params["rate"]))
foundations.save_artifact("made/result.txt", "result")
print("done in", os.getcwd())
"""


class Project:
    """A project folder whose jobs run in a container."""

    def __init__(self, atlas: Any, folder: Path) -> None:
        self.atlas = atlas
        self.folder = folder

    def configure(self, worker: dict[str, Any], **more: Any) -> Project:
        text = json.dumps({"project_name": self.folder.name, "worker": worker, **more})
        (self.folder / "job.config.yaml").write_text(text)  # JSON is YAML
        return self

    def submit(self, *command: str, options: tuple[str, ...] = (), wait: bool = True) -> str:
        streaming = ["--stream-job-logs", str(wait)]
        done = self.atlas(
            "submit", "--quiet", *streaming, *options, "scheduler", str(self.folder), *command
        )
        assert done.stdout.strip(), done.stderr
        return done.stdout.strip()

    def run(self, *command: str, options: tuple[str, ...] = ()) -> str:
        """Submit a job that must complete; return its log."""
        job = self.submit(*command, options=options)
        log = self.atlas("get", "logs", job).stdout
        shown = self.show(job)
        assert shown["state"] == "completed", (shown["message"], log)
        return log

    def failed(self, *command: str, options: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
        job = self.submit(*command, options=options)
        shown = self.show(job)
        assert shown["state"] == "failed", shown
        return shown, self.atlas("get", "logs", job).stdout

    def show(self, job: str) -> dict[str, Any]:
        return self.atlas.json("show", job)


@pytest.fixture
def project(atlas: Any, request: pytest.FixtureRequest) -> Project:
    name = re.sub(r"\W+", "-", request.node.name)[:60]
    return Project(atlas, atlas.folder(name, main_py=RECORDING))


@pytest.fixture(scope="module")
def engine() -> Any:
    client = docker.from_env()
    yield client
    client.close()


def python_lines(log: str) -> list[str]:
    return [line for line in log.splitlines() if line and not line.startswith(("=", "No user"))]


# --- what runs


@pytest.mark.parametrize("name", ["python", "entrypoint", "user"])
def test_a_job_records_and_leaves_its_results(
    project: Project, image: Callable[[str], str], engine: Any, tmp_path: Path, name: str
) -> None:
    project.configure({"image": image(name)}, params={"rate": 0.1})
    job = project.submit("main.py")
    shown = project.show(job)
    assert shown["state"] == "completed", project.atlas("get", "logs", job).stdout
    assert shown["metrics"]["loss"]["count"] == 3
    assert shown["params"] == {"rate": 0.1}
    assert shown["tags"] == {"user": str(os.getuid())}
    assert [each["key"] for each in shown["artifacts"]] == ["result"]
    assert "done in /job/job_source" in project.atlas("get", "logs", job).stdout
    project.atlas("get", "job", job, "--save_dir", str(tmp_path))
    made = tmp_path / job / "made/result.txt"
    assert made.read_text() == "rate 0.1"
    recorded = shown["environment"]
    assert recorded["image"]["id"] == engine.images.get(image(name)).id
    assert recorded["python"].startswith("3.")
    assert not (project.atlas.home / "work" / job).exists()


def test_an_image_without_python_runs_any_command(
    project: Project, image: Callable[[str], str]
) -> None:
    project.configure({"image": image("busybox")})
    log = project.run("sh", "-c", "echo $FOUNDATIONS_PROJECT_NAME; tail -n 1 main.py; pwd")
    assert python_lines(log) == [
        project.folder.name, 'print("done in", os.getcwd())', "/job/job_source",
    ]  # fmt: skip


def test_a_program_that_the_image_lacks_is_named(
    project: Project, image: Callable[[str], str]
) -> None:
    shown, _ = project.configure({"image": image("busybox")}).failed("no-such-program")
    assert shown["reason"] == "start_failed"
    assert "'no-such-program'" in shown["message"]


def test_a_file_that_cannot_be_executed_is_told_from_one_that_is_not_there(
    project: Project, image: Callable[[str], str]
) -> None:
    script = project.folder / "script"
    script.write_text("#!/no/such/shell\n")
    shown, _ = project.configure({"image": image("busybox")}).failed("./script")
    assert "chmod +x" in shown["message"]
    script.chmod(0o755)
    shown, _ = project.failed("./script")
    assert "no program './script', or none that its first line names" in shown["message"]
    shown, _ = project.configure({"image": image("busybox"), "init": False}).failed("./other")
    assert "no program './other'" in shown["message"]


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ({"devices": "/dev/no-such-device"}, "/dev/no-such-device"),
        ({"sysctls": {"net.no.such": 1}}, "/proc/sys/net/no/such"),
        ({"network": "no-such-network"}, "no-such-network not found"),
    ],
    ids=["device", "setting", "network"],
)
def test_what_the_engine_refuses_is_not_put_down_to_the_command(
    project: Project, image: Callable[[str], str], worker: dict[str, Any], words: str
) -> None:
    shown, _ = project.configure({"image": image("busybox"), **worker}).failed("true")
    assert shown["reason"] == "start_failed"
    assert words in shown["message"]
    assert "program" not in shown["message"]


def test_what_only_python_can_mean_is_given_to_it(
    project: Project, image: Callable[[str], str]
) -> None:
    script = "import os, sys; print(os.path.basename(sys.argv[0]), sys.argv[1:], os.getcwd())\n"
    (project.folder / "package").mkdir()
    for name in ("main.py", "package/__main__.py", "package/script.py"):
        (project.folder / name).write_text(script)
    worker = {"image": image("python")}
    project.configure(worker)
    assert python_lines(project.run("-m", "package", "x")) == ["__main__.py ['x'] /job/job_source"]
    assert python_lines(project.run("-c", "print(1)")) == ["1"]
    assert python_lines(project.run("/job/job_source/main.py")) == ["main.py [] /job/job_source"]
    project.configure({**worker, "working_dir": "/job/job_source/package"})
    for command, name in (("script.py", "script.py"), ("../main.py", "main.py")):
        assert python_lines(project.run(command)) == [f"{name} [] /job/job_source/package"]


def test_a_jobs_entrypoint_goes_before_the_images(
    project: Project, image: Callable[[str], str]
) -> None:
    (project.folder / "requirements.txt").write_text("a-package-that-nobody-installs\n")
    project.configure({"image": image("entrypoint"), "entrypoint": ["sh", "-c"]})
    assert project.run("echo $0").splitlines() == ["sh"]
    assert project.run("-c", "echo option", options=("--entrypoint", "sh")).split() == ["option"]


def test_the_code_is_where_working_dir_says(project: Project, image: Callable[[str], str]) -> None:
    (project.folder / "below").mkdir()
    (project.folder / "below/file").write_text("x")
    worker = {"image": image("busybox"), "working_dir": "/elsewhere/deep"}
    assert python_lines(project.configure(worker).run("sh", "-c", "pwd; ls")) == [
        "/elsewhere/deep", "below", "job.config.yaml", "main.py",
    ]  # fmt: skip
    worker["working_dir"] = "/job/job_source/below"
    log = python_lines(project.configure(worker).run("sh", "-c", "pwd; ls"))
    assert log == ["/job/job_source/below", "file"]


def test_options_reach_the_container(
    project: Project, image: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/set").write_text("numbers")
    project.configure(
        {
            "image": image("busybox"),
            "shm_size": "48M",
            "volumes": {str(tmp_path / "data"): {"bind": "/data", "mode": "ro"}},
            "environment": {"COLOUR": "blue"},
            "hostname": "lonely",
            "network_mode": "none",
            "tmpfs": {"/scratch": "size=8m"},
            "ulimits": [{"name": "nofile", "soft": 512, "hard": 512}],
        }
    )
    script = (
        "cat /data/set; echo; echo $COLOUR; hostname; ulimit -n; ls /sys/class/net;"
        "df -m /dev/shm /scratch | awk 'NR > 1 {print $2}'; touch /data/x 2>&1"
    )
    log = python_lines(project.run("sh", "-c", script + "; true"))
    assert log[:7] == ["numbers", "blue", "lonely", "512", "lo", "48", "8"]
    assert "Read-only" in log[7]


def test_tracking_needs_no_network(project: Project, image: Callable[[str], str]) -> None:
    worker = {"image": image("python"), "network_mode": "none"}
    job = project.configure(worker, params={"rate": 1}).submit("main.py")
    assert project.show(job)["metrics"]["loss"]["count"] == 3


def test_cpus_and_memory_are_limited(project: Project, image: Callable[[str], str]) -> None:
    project.configure({"image": image("busybox")}, num_cpus=0.5, ram="64MB")
    script = (
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes "
        "/sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max 2>/dev/null; true"
    )
    words = " ".join(python_lines(project.run("sh", "-c", script))).split()
    assert words in (["50000", str(64 * 2**20)], ["50000", "100000", str(64 * 2**20)])


def test_no_device_is_seen_without_asking(project: Project, image: Callable[[str], str]) -> None:
    project.configure({"image": image("busybox"), "environment": {"NVIDIA_VISIBLE_DEVICES": "all"}})
    assert project.run("sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES").split()[-1] == "void"


# --- requirements


def test_requirements_are_installed_once(
    project: Project, image: Callable[[str], str], tmp_path: Path
) -> None:
    from tests.runner.test_environment import make_wheel

    wheels = project.atlas.home / "wheels"
    make_wheel(wheels, "tiny_of_containers", "1.0")
    lines = ["--no-index", "--find-links vendor", "tiny-of-containers==1.0"]
    (project.folder / "requirements.txt").write_text("\n".join(lines))
    vendor = project.folder / "vendor"
    vendor.mkdir()
    for wheel in wheels.iterdir():
        (vendor / wheel.name).write_bytes(wheel.read_bytes())
    (project.folder / "main.py").write_text(
        "import sys, tiny_of_containers\nprint(tiny_of_containers.VERSION, sys.prefix)\n"
    )
    project.configure({"image": image("entrypoint")})
    first = project.run("main.py")
    assert "Installing user requirements" in first
    assert re.search(r"1\.0 /atlas/envs/\w{32}$", first, re.MULTILINE)
    second = project.run("main.py")
    assert "User requirements already installed." in second
    assert "Resolved" not in second
    # What is installed may be anything: nobody runs what others have installed.
    other = project.atlas(
        "submit", "scheduler", str(project.folder), "main.py", env={"FOUNDATIONS_USER": "another"}
    )
    assert "Installing user requirements" in other.stdout
    off = project.configure({"image": image("entrypoint")}, install_requirements=False)
    assert "ModuleNotFoundError" in off.failed("main.py")[1]


def test_an_image_that_has_everything_needs_no_environment(
    project: Project, image: Callable[[str], str]
) -> None:
    (project.folder / "requirements.txt").write_text("--no-index\npip\n")
    (project.folder / "main.py").write_text("import pip, sys; print('prefix', sys.prefix)\n")
    log = project.configure({"image": image("python")}).run("main.py")
    assert "prefix /usr" in log
    assert "Checking user requirements" in log


def test_requirements_that_cannot_be_met_fail_with_the_installers_words(
    project: Project, image: Callable[[str], str]
) -> None:
    (project.folder / "requirements.txt").write_text("--no-index\nno-such-package==3\n")
    shown, log = project.configure({"image": image("python")}).failed("main.py")
    assert shown["reason"] == "requirements_failed"
    assert "no-such-package" in shown["message"]
    assert "no-such-package" in log


def test_requirements_for_an_image_without_python_are_refused(
    project: Project, image: Callable[[str], str]
) -> None:
    (project.folder / "requirements.txt").write_text("numpy\n")
    shown, _ = project.configure({"image": image("busybox")}).failed("true")
    assert shown["reason"] == "requirements_failed"
    assert "has no Python" in shown["message"]


@pytest.fixture
def odd_python(image: Callable[[str], str], engine: Any) -> Iterator[Callable[[str], str]]:
    """Make an image whose python3 is a shell script."""
    made: list[str] = []

    def make(script: str) -> str:
        name = f"atlas-test/odd-{secrets.token_hex(4)}:latest"
        lines = [f"FROM {image('busybox')}", f"RUN printf '#!/bin/sh\\n{script}\\n' > /bin/python3"]
        content = "\n".join([*lines, "RUN chmod +x /bin/python3", ""])
        engine.images.build(fileobj=io.BytesIO(content.encode()), tag=name, rm=True)
        made.append(name)
        return name

    yield make
    for name in made:
        engine.images.remove(name, force=True)


def test_a_python_that_does_not_work_is_named_and_not_remembered(
    project: Project, odd_python: Callable[[str], str], engine: Any
) -> None:
    name = odd_python("echo no library >&2; exit 3")
    log = project.configure({"image": name}).run("echo", "hello")
    assert f"python3 of the image '{name}' ended with code 3. It said: no library" in log
    assert log.endswith("hello\n")
    known = engine.images.get(name).id.removeprefix("sha256:")
    assert not (project.atlas.home / f"cache/images/{known}.json").exists()


def test_a_job_is_stopped_while_its_python_does_not_answer(
    project: Project, odd_python: Callable[[str], str], engine: Any
) -> None:
    name = odd_python("sleep 1000")
    job = project.configure({"image": name}).submit("echo", "hello", wait=False)
    while not engine.containers.list(filters={"ancestor": name}):
        assert project.show(job)["state"] in ("queued", "starting")
    assert project.atlas("stop", "--wait", job).returncode == 0
    assert project.show(job)["state"] == "stopped"
    assert engine.containers.list(all=True, filters={"ancestor": name}) == []


# --- how jobs end


def test_a_job_is_stopped(project: Project, image: Callable[[str], str]) -> None:
    project.configure({"image": image("busybox")})
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    job = project.submit("sh", "-c", script, wait=False)
    while "ready" not in project.atlas("get", "logs", job).stdout:
        assert project.show(job)["state"] in ("queued", "starting", "running")
    assert project.atlas("stop", "--wait", job).returncode == 0
    shown = project.show(job)
    assert (shown["state"], shown["exit_code"]) == ("stopped", 3)
    assert "bye" in project.atlas("get", "logs", job).stdout


def test_a_time_limit_ends_a_container(project: Project, image: Callable[[str], str]) -> None:
    project.configure({"image": image("busybox")}, timeout=1)
    shown, _ = project.failed("sleep", "1000")
    assert shown["reason"] == "timed_out"


def test_memory_is_told_from_other_deaths(project: Project, image: Callable[[str], str]) -> None:
    (project.folder / "main.py").write_text("x = bytearray(500_000_000)\n")
    project.configure({"image": image("python")}, ram="100MB")
    shown, _ = project.failed("main.py")
    assert (shown["reason"], shown["exit_code"]) == ("out_of_memory", 137)


def test_a_bad_image_fails_with_the_engines_words(project: Project) -> None:
    worker = {"image": "localhost:1/no/such-image:3"}
    shown, log = project.configure(worker).failed("main.py")
    assert shown["reason"] == "start_failed"
    assert "no/such-image" in shown["message"]
    assert "Pulling image localhost:1/no/such-image:3" in log


def test_a_rerun_takes_the_image_of_then(
    project: Project, image: Callable[[str], str], engine: Any
) -> None:
    name = "atlas-test/moving-" + project.folder.name.lower()[-20:]
    engine.images.get(image("busybox")).tag(name, "latest")
    project.configure({"image": name})
    job = project.submit("sh", "-c", "command -v python3 || echo without")
    assert "without" in project.atlas("get", "logs", job).stdout
    engine.images.get(image("python")).tag(name, "latest")
    try:
        again = project.atlas("rerun", "--quiet", job).stdout.strip()
        assert "without" in project.atlas("get", "logs", again).stdout
        fresh = project.atlas("rerun", "--quiet", "--image", name, job).stdout.strip()
        assert "/python3" in project.atlas("get", "logs", fresh).stdout
    finally:
        engine.images.remove(name, force=True)


def test_no_container_is_left(project: Project, image: Callable[[str], str], engine: Any) -> None:
    project.configure({"image": image("busybox")})
    jobs = [project.submit("true", wait=False) for _ in range(5)]
    project.atlas("wait", *jobs)
    named = {f"atlas-{job}-1" for job in jobs}
    assert not named & {each.name for each in engine.containers.list(all=True, sparse=True)}
