"""Telling people what happened: decided from the recorded events, sent where they asked for it."""
