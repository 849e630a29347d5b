"""Stage `report`: the HTML report, its figures and the model card."""
