"""One service for all tests that need nothing of their own."""

from collections.abc import Iterator

import httpx
import pytest

from tests.serving.served import running


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    with running() as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client
