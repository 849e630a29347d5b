"""Prefect's page and server: names, states, artifacts, schedules, automations, webhooks."""
