"""MLflow's server behind the guard, as a plug-in of MLflow's: `mlflow server --app-name coronet`."""

from starlette.types import ASGIApp

from flows.servers.cross_site_guard import guarded


def create_app() -> ASGIApp:
    """Return the application that `mlflow server` runs by itself, guarded."""
    from mlflow.server.fastapi_app import app  # late: MLflow looks at this module before it has set the server up

    return guarded(app)
