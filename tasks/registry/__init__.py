"""The MLflow model registry: packages are registered as versions, one of which is the champion."""
