"""Addresses lose their credentials, and nothing else is lost."""

import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coronet_core.support.credentials import first_words, hide_in_logs, without_credentials
from coronet_core.support.errors import CoroNetError

SECRETS = st.text(
    st.characters(codec="ascii", exclude_categories=["Cc", "Zs"], exclude_characters="\"'<>`"), min_size=6
)
HOSTS = st.sampled_from(["127.0.0.1:5000", "lab.example", "[::1]:4200"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://alice:PASSWORD@127.0.0.1:9/api", "http://127.0.0.1:9/api"),
        ("postgresql+psycopg2://u:p%40s@h/db", "postgresql+psycopg2://h/db"),
        ("http://a:b@c:d@host/x", "http://host/x"),
        ("http://alice:pa/ss@host/x", "http://host/x"),
        ("https://token@host/x.git: denied", "https://host/x.git: denied"),
        ("'https://u:p@h/a' and http://v:q@g/b", "'https://h/a' and http://g/b"),
        ("s3://b/k?X-Amz-Signature=abc&part=1", "s3://b/k?X-Amz-Signature=***&part=1"),
        ("https://h/hook?access_token=abc&x=1", "https://h/hook?access_token=***&x=1"),
        ("Max retries exceeded with url: /api?token=abc", "Max retries exceeded with url: /api?token=***"),
    ],
)
def test_credentials_are_left_out(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8080/path@v2, a@b",
        "s3://bucket/scans/key@2.png",
        "models:/coronet@champion",
        "git@host:project.git",
        "mail me at a@b.example, see http://h/x",
        "a.png: tokens=3, no address here",
    ],
)
def test_what_holds_none_stays_as_it_is(text: str) -> None:
    assert without_credentials(text) == text


@given(user=st.text("abc", min_size=1), password=SECRETS, host=HOSTS)
def test_no_password_survives(user: str, password: str, host: str) -> None:
    text = f"MLflow (http://{user}:{quote(password, safe='')}@{host}/x) is away"
    assert without_credentials(text) == f"MLflow (http://{host}/x) is away"


def test_what_is_cut_has_lost_them_before() -> None:
    assert first_words("no way\n to http://alice:PASSWORD@host/x", 20) == "no way to http://hos"


def test_every_error_of_the_project_is_without_them() -> None:
    assert str(CoroNetError("http://u:PASSWORD@h: refused")) == "http://h: refused"


@pytest.fixture
def factory() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(before)


@pytest.mark.usefixtures("factory")
def test_logs_are_without_them_tracebacks_too(caplog: pytest.LogCaptureFixture) -> None:
    hide_in_logs()
    hide_in_logs()
    logger = logging.getLogger("some.library")
    try:
        float("http://u:PASSWORD@h/1")  # whose error repeats it
    except ValueError:
        logger.exception("retrying %s, %d times", "http://u:PASSWORD@h/2", 3)
    assert "retrying http://h/2, 3 times" in caplog.text
    assert "could not convert string to float: 'http://h/1'" in caplog.text
    assert "PASSWORD" not in caplog.text
