"""Compiled traffic: lanes, drivers, contact, spawning, scoring, observation and scene."""
