"""Stage `report`: the report's page, its figures and the model card."""
