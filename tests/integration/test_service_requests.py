"""The service against requests that are made from its own description, right ones and wrong ones."""

import base64
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from tests.core.dicom_studies import study_file
from tests.serving.served import dicom, png, running

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of libraries that schemathesis uses
]
FILES = st.one_of(st.sampled_from([png(), png(1), dicom(), study_file()]), st.binary(max_size=200))
"""As likely an X-ray as anything else: what is behind the decoder is reached as well."""
ROUTES = ("/predict", "/report", "/explain", "/residuals", "/preview", "/verdicts")

schemathesis.openapi.format("byte", FILES.map(lambda content: base64.b64encode(content).decode()))
schemathesis.openapi.media_type("application/octet-stream", FILES)


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    verdicts = tmp_path_factory.mktemp("verdicts") / "verdicts.csv"
    with running(log_requests=False, rate="1000000/minute", explain_seconds=20, verdicts=verdicts) as address:
        description = schemathesis.openapi.from_url(f"{address}/openapi.json")
        # The description says "bytes", and no description can say which bytes are an X-ray.
        description.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "422"]
        description.config.checks.negative_data_rejection.expected_statuses = ["413", "415", "422"]
        yield description


@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [
        *((path, "GET", GenerationMode.POSITIVE) for path in ("/health", "/ready", "/metrics", "/model", "/example")),
        *((path, "POST", mode) for path in ROUTES for mode in GenerationMode),
    ],
)
def test_every_request_gets_an_answer_as_described(
    description: schemathesis.BaseSchema, path: str, method: str, mode: GenerationMode
) -> None:
    @given(case=description[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(timeout=60)

    ask()


def test_all_that_is_described_is_asked_for(description: schemathesis.BaseSchema) -> None:
    assert set(description) == {"/health", "/ready", "/metrics", "/model", "/example", *ROUTES}
