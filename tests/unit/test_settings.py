"""Settings: where they come from, what is masked, what production refuses."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import nostro
from nostro.settings import Environment, SettingsError, jwt_secret, load_settings, settings_handed_on


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("JWT_SECRET", "NOSTRO_DATABASE_URL", "NOSTRO_ENV", "NOSTRO_DATA_DIR", "PORT", "HOST"):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_stands_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("PORT=4000\nHOST=127.0.0.2\n")
    monkeypatch.setenv("PORT", "5000")
    settings = load_settings()
    assert (settings.port, settings.host, settings.currency) == (5000, "127.0.0.2", "INR")
    assert load_settings(port=6000).port == 6000


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    monkeypatch.setenv("JWT_SECRET_FILE", str(file))
    assert jwt_secret(load_settings()) == b"from a file"
    monkeypatch.setenv("JWT_SECRET_FILE", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="JWT_SECRET_FILE"):
        load_settings()


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "a canary in the mine")
    monkeypatch.setenv("NOSTRO_DATABASE_URL", "postgresql://nostro:canary@localhost/nostro")
    monkeypatch.setenv("NOSTRO_NATS_URL", "nats://nostro:canary@localhost, tls://nostro:canary@other:4222")
    monkeypatch.setenv("NOSTRO_AMQP_URL", "amqps://nostro:canary@localhost/")
    settings = load_settings()
    shown = str(settings.shown()) + repr(settings)
    assert "canary" not in shown
    assert settings.shown()["NOSTRO_FROZEN_RECEIVES"] == "false"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "http"),
        ("NOSTRO_ENV", "staging"),
        ("NOSTRO_DIALECT", "latin"),
        ("NOSTRO_LOG_LEVEL", "loud"),
        ("NOSTRO_NATS_URL", "nats://one,http://other"),
        ("NOSTRO_AMQP_URL", "localhost:5672"),
        ("NOSTRO_STREAMS", "-1"),
        ("NOSTRO_STREAM_HEARTBEAT_S", "0"),
    ],
)
def test_a_wrong_value_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize("secret", ["short", "x" * 64])
def test_production_refuses_a_weak_secret_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("NOSTRO_ENV", "production")
    monkeypatch.setenv("JWT_SECRET", secret)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert secret not in str(refused.value)
    monkeypatch.setenv("JWT_SECRET", "a long and varied secret 0123456789")
    assert load_settings().environment is Environment.PRODUCTION


def test_the_first_run_makes_one_secret_however_many_start_at_once(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "var")
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(jwt_secret, [settings] * 32))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 64
    files = list((tmp_path / "var").iterdir())
    assert [file.name for file in files] == ["jwt_secret"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_settings_are_handed_on_whole_whatever_becomes_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("JWT_SECRET=a-secret-of-the-file\nNOSTRO_FROZEN_RECEIVES=true\n")
    monkeypatch.setenv("NOSTRO_DATABASE_URL", "postgresql://u:hidden@h/d")
    settings = load_settings(port=4711, workers=2)
    Path(".env").write_text("JWT_SECRET=another\n")
    monkeypatch.delenv("NOSTRO_DATABASE_URL")
    handed_on = settings.handed_on()
    assert handed_on["JWT_SECRET"] == "a-secret-of-the-file"
    assert settings_handed_on(handed_on) == settings


@pytest.mark.parametrize(
    ("name", "url", "client", "extra"),
    [
        ("NOSTRO_NATS_URL", "nats://nostro:canary@localhost", "nats", "nats"),
        ("NOSTRO_AMQP_URL", "amqp://nostro:canary@localhost", "aio_pika", "amqp"),
    ],
)
def test_a_broker_whose_client_is_not_installed_ends_the_start_with_one_sentence(
    name: str, url: str, client: str, extra: str, tmp_path: Path
) -> None:
    program = (
        f"import sys; sys.modules[{client!r}] = None; sys.argv = ['nostro', 'serve', '--port', '0']; "
        "from nostro.app import main; main()"
    )
    source = str(Path(nostro.__file__).parents[1])
    refused = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, name: url, "PYTHONPATH": source, "NOSTRO_DATA_DIR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode != 0
    (sentence,) = refused.stderr.strip().splitlines()
    assert name in sentence
    assert f"pip install 'nostro[{extra}]'" in sentence
    assert "canary" not in sentence
    assert not (tmp_path / "var").exists(), "nothing was started"
