"""The web service: predictions for X-rays over HTTP, and the reading page."""
