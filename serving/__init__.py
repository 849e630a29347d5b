"""The web service: answers for X-rays over HTTP, and the page on which they are read."""
