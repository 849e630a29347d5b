"""Commands of the model registry: versions, promotion, rollback."""
