"""One module per DVC stage: reads files and params, calls `coronet_core`, writes outs, reports to MLflow."""
