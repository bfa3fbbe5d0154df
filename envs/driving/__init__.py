"""Tactical driving: four scenes, one second a decision, on highway-env or compiled."""
