"""Stage `evaluate`: predictions for the test split, Tables 2 to 5 with intervals, and plots."""

from coronet_core.common.seeds import derive_seed
from coronet_core.support.plurals import counted
from coronet_core.support.tables import write_frame
from tasks.calibrate.calibration_file import read_calibration
from tasks.calibrate.cin_outputs import predict_split
from tasks.evaluate.all_figures import all_figures, class_warnings, logged_figures
from tasks.evaluate.curves import write_curves
from tasks.evaluate.prediction_table import prediction_table
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.files import nulls_for_nan, write_report
from tasks.runtime.paths import METRICS, PREDICTIONS
from tasks.runtime.progress import log
from tasks.runtime.stage_context import StageContext

REMEDY = "Raise data.split.test_fraction or add images of it."


def run(context: StageContext) -> None:
    """Predict every test image; write predictions, metrics and plots."""
    use_cpu_threads(share=1)
    params, seed = context.params.evaluate, derive_seed(context.params.seed, "evaluate")
    calibration = read_calibration()
    test = predict_split(context, "test")
    figures = all_figures(test, calibration, params, seed)
    metrics = nulls_for_nan(
        {**figures, "warnings": [*class_warnings(test, "test image", REMEDY), *calibration.warnings]}
    )
    write_frame(prediction_table(test, calibration), PREDICTIONS)
    write_curves(test, calibration.temperature, params)
    write_report(METRICS, metrics)
    context.tracking.metrics(logged_figures(metrics))
    for path in (METRICS, PREDICTIONS):
        context.tracking.artifact(path)
    for warning in metrics["warnings"]:
        log(f"warning: {warning}")
    area = metrics["roc_auc"]["macro"]
    shown = "undefined" if area is None else f"{area:.4f}"
    log(f"accuracy {metrics['accuracy']:.4f}, macro ROC-AUC {shown}, {counted(metrics['images'], 'test image')}")
