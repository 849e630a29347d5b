"""The registry of models in MLflow: packages are registered as versions, and one of them is the champion."""
