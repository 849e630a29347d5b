"""One folder per DVC stage: `stage.py` reads files and params, calls `coronet_core`, writes outs, reports to MLflow."""
