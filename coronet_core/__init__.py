"""The science of CoroNet: models, training, residuals, metrics, attribution and the data rules.

Nothing here knows DVC, Prefect or MLflow. Everything outside `coronet_core.data`, `coronet_core.common.shards`
and `coronet_core.common.weights` needs only torch, torchvision and numpy.
"""
