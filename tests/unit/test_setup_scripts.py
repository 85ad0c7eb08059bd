"""./run, ./test and their lock files: what is installed, when, and what the caller sees of it.

A made-up Python stands in for the real one: it writes down what it is asked, and makes environments of nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LOCK_FILES = [
    "requirements.lock",
    "requirements-brokers.lock",
    "requirements-test.lock",
    "requirements-uv.lock",
]

NEEDED = {
    "sh",
    "cat",
    "cksum",
    "readlink",
    "dirname",
    "basename",
    "mkdir",
    "rm",
    "sleep",
    "grep",
    "find",
    "chmod",
}
NEEDED |= {"cp", "id", "env", "sed"}

FAKE_PYTHON = """#!/bin/sh
echo "$@" >>"$CALLS"
case "$*" in
    *version_info*) [ -z "${TOO_OLD:-}" ] ;;
    "-m venv "*)
        if [ -n "${NO_VENV:-}" ] && [ ! -e "$NO_VENV" ]; then echo "ensurepip is not available"; exit 1; fi
        mkdir -p "$3/bin" "$3/site"
        cp "$0" "$3/bin/python" ;;
    "-m pip install "*--target*)
        [ -z "${NO_REGISTRY:-}" ] || { echo "no route to the registry"; exit 1; }
        mkdir -p "$VENV/tools/bin"
        printf '#!/bin/sh\\necho uv "$@" >>"%s"\\n%s\\n' "$CALLS" "${UV_DOES:-:}" >"$VENV/tools/bin/uv"
        chmod +x "$VENV/tools/bin/uv" ;;
    "-m pip install "*) [ -z "${NO_REGISTRY:-}" ] || { echo "no route to the registry"; exit 1; } ;;
    "-m pip config list") printf '%s\\n' "${PIP_SAYS:-}" ;;
    "-c import site"*) echo "$VENV/site" ;;
    "-m nostro"*) shift 2; echo "nostro $* in $PWD with ${NOSTRO_DATA_DIR:-}" ;;
esac
"""


class Copy:
    """A copy of the scripts in a place of its own, with the made-up Python and programs."""

    def __init__(self, place: Path) -> None:
        self.repository = place / "a repository"
        self.calls = place / "calls"
        self.venv = self.repository / ".venv"
        self.programs = place / "programs"
        (self.repository / "src").mkdir(parents=True)
        for name in ("run", "test", *LOCK_FILES):
            shutil.copy(REPOSITORY / name, self.repository)
        shutil.copytree(REPOSITORY / ".ci", self.repository / ".ci")
        self.program("python3.11", FAKE_PYTHON)
        self.program(
            "apt-get",
            '#!/bin/sh\necho apt-get "$@" >>"$CALLS"\n[ -z "${APT:-}" ] || : >"$APT"\n[ -n "${APT:-}" ]\n',
        )

    def program(self, name: str, text: str) -> None:
        self.programs.mkdir(exist_ok=True)
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "VENV": str(self.venv),
        }
        return kept | {"HOME": str(self.repository)} | more

    def run(self, *arguments: str, cwd: Path | None = None, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.repository / "run", *arguments],
            env=self.environment(**more),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def count(self, call: str) -> int:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(call in line for line in lines)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_help_is_given_at_once_and_installs_nothing(copy):
    shown = copy.run("--help")
    assert shown.returncode == 0
    assert "./run --port 0" in shown.stdout
    assert not copy.calls.exists()
    assert copy.run("-h").stdout == shown.stdout


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ([], "serve"),
        (["--port", "0"], "serve --port 0"),
        (["--data-dir", "x", "--help"], "serve --data-dir x --help"),
        (["help"], "--help"),
        (["user", "create", "--name", "A B"], "user create --name A B"),
        (["serve", "--help"], "serve --help"),
    ],
)
def test_options_go_to_serve_and_words_are_commands(copy, given, passed_on):
    assert copy.run(*given).stdout.startswith(f"nostro {passed_on} in ")


def test_the_second_start_installs_nothing_and_says_nothing(copy):
    first, second = copy.run("config"), copy.run("config")
    assert "Installing" in first.stderr
    assert second.stderr == ""
    assert copy.count("-m venv") == copy.count("uv pip sync") == 1


def test_standard_output_is_the_commands_alone(copy):
    assert copy.run("config").stdout.splitlines() == [
        f"nostro config in {Path.cwd()} with {copy.repository}/var"
    ]


def test_data_is_kept_beside_the_script_wherever_it_is_called_from(copy, tmp_path):
    assert copy.run("config", cwd=tmp_path).stdout.endswith(f"in {tmp_path} with {copy.repository}/var\n")
    assert copy.run("config", NOSTRO_DATA_DIR="mine").stdout.endswith("with mine\n")
    (tmp_path / ".env").write_text("PORT=1\nexport NOSTRO_DATA_DIR=/theirs\n")
    assert copy.run("config", cwd=tmp_path).stdout.endswith("with \n")


def test_a_changed_lock_file_is_installed_and_a_moved_repository_too(copy):
    copy.run("config")
    with (copy.repository / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    copy.run("config")
    assert copy.count("uv pip sync") == 2
    assert copy.count("-m venv") == 1
    moved = copy.repository.rename(copy.repository.with_name("moved"))
    copy.repository, copy.venv = moved, moved / ".venv"
    copy.run("config")
    assert copy.count("uv pip sync") == 3
    assert (copy.venv / "site" / "nostro-src.pth").read_text() == f"{moved}/src\n"


def test_the_client_of_a_broker_is_installed_when_one_is_set_and_stays_when_it_is_not(copy, tmp_path):
    copy.run("config")
    assert copy.count("requirements-brokers.lock") == 0
    copy.run("config", NOSTRO_NATS_URL="nats://localhost")
    assert copy.count("requirements-brokers.lock") == 1
    copy.run("config", NOSTRO_AMQP_URL_FILE="/run/secrets/amqp")
    copy.run("config")
    assert copy.count("uv pip sync") == 2
    (tmp_path / ".env").write_text("export NOSTRO_AMQP_URL = amqp://localhost\n")
    with (copy.repository / "requirements-brokers.lock").open("a") as lock:
        lock.write("# changed\n")
    copy.run("config", cwd=tmp_path)
    assert copy.count("requirements-brokers.lock") == 2


def test_an_interrupted_install_is_begun_again_from_nothing(copy):
    with subprocess.Popen(
        [copy.repository / "run", "config"],
        env=copy.environment(UV_DOES="kill -9 $PPID"),
        stderr=subprocess.PIPE,
    ) as killed:
        killed.communicate()
    assert killed.returncode == -9
    (copy.venv / "lib").mkdir()
    (copy.venv / "lib" / "half").touch()
    again = copy.run("config")
    assert again.stdout.startswith("nostro config")
    assert copy.count("-m venv") == 2
    assert not (copy.venv / "lib" / "half").exists()


@pytest.mark.parametrize("flock", [True, False])
def test_two_first_starts_at_once_install_once(copy, tmp_path, flock):
    path = f"{copy.programs}:{os.environ['PATH']}" if flock else without_flock(copy, tmp_path)
    environment = copy.environment(PATH=path, UV_DOES="sleep 0.5")
    starts = [
        subprocess.Popen(
            [copy.repository / "run", "config"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [start.communicate(timeout=60)[0] for start in starts]
    assert all(words.startswith("nostro config") for words in said)
    assert copy.count("uv pip sync") == 1
    assert not (copy.venv / "lock.d").exists()


def test_a_lock_whose_owner_is_gone_is_taken_over(copy, tmp_path):
    (copy.venv / "lock.d").mkdir(parents=True)
    with subprocess.Popen(["true"]) as gone:
        pass
    (copy.venv / "lock.d" / "pid").write_text(f"{gone.pid}\n")
    assert copy.run("config", PATH=without_flock(copy, tmp_path)).stdout.startswith("nostro config")


def without_flock(copy: Copy, tmp_path: Path) -> str:
    """A PATH with every ordinary program but that one."""
    ordinary = tmp_path / "ordinary"
    ordinary.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        if found:
            (ordinary / name).symlink_to(found)
    return f"{copy.programs}:{ordinary}"


def test_uv_is_told_what_pip_knows_about_the_network(copy):
    says = ":env:.index-url='https://mirror.test/simple'\nglobal.cert='/ca.pem'\nglobal.index-url='https://other.test'"
    copy.run("config", PIP_SAYS=says, UV_DOES='echo "$UV_DEFAULT_INDEX $SSL_CERT_FILE" >>"$CALLS"')
    assert copy.count("https://mirror.test/simple /ca.pem") == 1


def test_where_uv_cannot_run_pip_installs_the_same_lock(copy):
    done = copy.run("config", UV_DOES="exit 1")
    assert done.returncode == 0
    assert copy.count(
        f"pip install --disable-pip-version-check --require-hashes -r {copy.repository}/requirements.lock"
    )


def test_a_failed_install_shows_what_the_installer_said_and_is_tried_again(copy):
    failed = copy.run("config", NO_REGISTRY="1")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "no route to the registry" in failed.stderr
    assert failed.stderr.splitlines()[-1].startswith("The packages could not be installed")
    assert copy.run("config").stdout.startswith("nostro config")


def test_without_a_python_that_is_new_enough_one_sentence_says_so(copy):
    failed = copy.run("config", NOSTRO_PYTHON=str(copy.programs / "python3.11"), TOO_OLD="1")
    assert failed.returncode == 1
    assert "not a Python of version 3.11 or newer" in failed.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("managed", "complete", "chosen"),
    [(True, True, "Debian's"), (True, False, "the first"), (False, True, "the first")],
    ids=[
        "a version manager's is passed over",
        "but for one that cannot make environments",
        "any other is taken",
    ],
)
def test_debians_python_is_preferred_to_a_version_managers(copy, tmp_path, managed, complete, chosen):
    debians, first = tmp_path / "debian", tmp_path / ("shims" if managed else "bin")
    lacking = "" if complete else 'case "$*" in *ensurepip) exit 1 ;; esac\n'
    for place, name, more in ((debians, "Debian's", lacking), (first, "the first", "")):
        telling = f'#!/bin/sh\n{more}case "$*" in "-m venv "*) echo made by "{name}" >>"$CALLS" ;; esac\n'
        copy.programs = place  # on the path is the last of them
        copy.program("python3.11", FAKE_PYTHON.replace("#!/bin/sh\n", telling, 1))
    script = copy.repository / ".ci/install.sh"
    script.write_text(script.read_text().replace("/usr/bin/python3.11", str(debians / "python3.11")))
    assert copy.run("config").stdout.startswith("nostro config")
    assert (copy.count("made by"), copy.count(f"made by {chosen}")) == (1, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may install packages")
def test_root_installs_debians_missing_venv_package(copy, tmp_path):
    package = str(tmp_path / "package")
    assert copy.run("config", NO_VENV=package, APT=package).stdout.startswith("nostro config")
    assert copy.count("apt-get install -y --no-install-recommends python3-venv") == 1


def test_a_missing_venv_package_that_cannot_be_installed_is_named(copy, tmp_path):
    failed = copy.run("config", NO_VENV=str(tmp_path / "never"))
    assert failed.returncode == 1
    assert "install Debian's python3-venv" in failed.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_files_name_versions_and_hashes_and_nothing_of_the_machine_that_made_them(name):
    text = (REPOSITORY / name).read_text()
    assert "://" not in text
    for requirement in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_tests_run_on_the_versions_the_service_runs_on():
    service, tests = pins("requirements.lock"), pins("requirements-test.lock")
    assert {name: tests[name] for name in service} == service
    brokers = pins("requirements-brokers.lock")
    assert brokers.keys() > service.keys()
    assert {name: tests[name] for name in brokers} == brokers


def test_everything_the_project_asks_for_is_locked():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert names(project["project"]["dependencies"]) <= pins("requirements.lock").keys()
    for extra in project["project"]["optional-dependencies"].values():
        assert names(extra) <= pins("requirements-brokers.lock").keys()
    assert names(project["dependency-groups"]["test"]) <= pins("requirements-test.lock").keys()


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (REPOSITORY / name).read_text(), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower() for requirement in requirements}


def test_the_tally_counts_tests_and_gates_and_what_never_reported(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text("""<testsuites><testsuite>
        <testcase classname="a" name="passes"/>
        <testcase classname="a" name="fails"><failure/></testcase>
        <testcase classname="a" name="fails"><error/></testcase>
        <testcase classname="a" name="is skipped"><skipped/></testcase>
    </testsuite></testsuites>""")
    (tmp_path / "gates").write_text("passed style\nfailed types\n")
    assert tally(tmp_path / "gates", report) == (1, "2 passed, 2 failed, 1 skipped\n")
    assert tally(tmp_path / "gates", report, tmp_path / "missing.xml") == (1, "2 passed, 3 failed, 1 skipped\n")
    (tmp_path / "gates").write_text("passed style\n")
    assert tally(tmp_path / "gates") == (0, "1 passed, 0 failed\n")


def tally(*arguments: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, REPOSITORY / ".ci" / "tally.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.full
def test_a_fresh_copy_installs_and_answers(tmp_path):
    fresh = tmp_path / "fresh"
    ignored = shutil.ignore_patterns(".venv", "var", ".git", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(REPOSITORY, fresh, ignore=ignored)
    done = subprocess.run([fresh / "run", "config"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert f"NOSTRO_DATA_DIR={fresh}/var" in done.stdout
