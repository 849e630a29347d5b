"""The flow `watch-data`: images that the last split does not have are counted, and an event starts a retrain."""

from collections import Counter

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError, ParamsError
from coronet_core.support.plurals import counted
from flows.monitoring.automations import answers_new_images
from flows.monitoring.final_states import IMAGES_FOUND, failed
from flows.monitoring.run_names import called
from flows.monitoring.start_retrain import (
    announce_images,
    n_announced,
    note_announced,
    require_server,
    retrain_under_way,
)
from flows.monitoring.webhook import AT_ITS_END
from flows.pipeline.raw_data_updates import waiting_images
from flows.project.live_params import prepare
from flows.project.run_lock import RETRAIN_LOCK, is_held
from tasks.raw_data.new_images import new_images
from tasks.runtime.params.checks import read_params
from tasks.runtime.paths import SPLIT, SPLIT_STAGE
from tasks.runtime.safe_text.markdown import plain
from tasks.runtime.tracking.provenance import dvc_hashes


@flow(name="watch-data", flow_run_name=called("look for {min_new_images} new images or more"), **AT_ITS_END)
def watch_data(min_new_images: int = 1) -> State[None]:
    """Compare the images of the sources with those of the last split; an event starts a retrain for new ones.

    While a retrain is under way nothing is compared. No retrain is started twice for the same images.

    Args:
        min_new_images: Minimum number of new images that start a retrain, counted from the last one.
    """
    try:
        prepare(None)
        require_server()
        if min_new_images < 1:
            raise ParamsError(f"min_new_images = {min_new_images}: allowed: 1 or more")
        if (name := retrain_under_way() or _run_by_hand()) is not None:
            return Completed(message=f"not compared: a retrain is under way ({name})")
        return _compare(min_new_images)
    except CoroNetError as error:
        return failed(error)


def _compare(min_new_images: int) -> State[None]:
    by_source = _counted()
    n_new, split = by_source.total(), dvc_hashes(SPLIT_STAGE)["outs"].get(str(SPLIT))
    announced = n_announced(split)
    n_before = min(announced, n_new)
    reason = counted(n_new, "new image")
    if n_new:
        rows = [{"source": plain(source), "new images": n} for source, n in sorted(by_source.items())]
        create_table_artifact(rows, key="new-images", description=f"{reason} since the last split")
    if n_before < announced:  # images have been taken away since
        note_announced(split, n_before)
    if n_new - n_before < min_new_images:
        before = f", of which {n_before} already started a retrain" if n_before else ""
        return Completed(message=f"{reason}{before}: too few for a retrain (min_new_images is {min_new_images})")
    if not answers_new_images():
        raise CoroNetError(
            f"{reason}, but the automation that starts a retrain is missing on this server or switched off: type "
            "`coronet deploy`, or switch it on."
        )
    announce_images(n_new, reason)
    note_announced(split, n_new)
    get_run_logger().info("the automation of the server starts a retrain")
    return Completed(name=IMAGES_FOUND, message=reason)


def _counted() -> Counter[str]:
    """Return the number of new images by source or, of those that are not here yet, by the `.dvc` file."""
    params = read_params()
    found = new_images(params)
    for waiting in waiting_images(params.data):
        found[waiting.dvc_file] += waiting.n_images
    return found


def _run_by_hand() -> str | None:
    """Say so if a `coronet run` works in this project, of which the server knows nothing."""
    return "in this folder" if is_held(RETRAIN_LOCK) else None
