"""What a webhook is sent of a flow run's end."""

from uuid import uuid4

from prefect.client.schemas.objects import FlowRun
from prefect.states import Failed

from flows.monitoring.webhook import _summary
from flows.watch_drift import watch_drift


def test_the_line_to_read_is_no_markup_of_a_chat() -> None:
    run = FlowRun(flow_id=uuid4(), name="<!channel>")
    found = _summary(watch_drift, run, Failed(message="[x](javascript:alert(1))"))
    assert found["text"] == "drift (&lt;!channel&gt;): Failed; \\[x\\](javascript:alert(1))"
    assert found["message"] == "[x](javascript:alert(1))"
