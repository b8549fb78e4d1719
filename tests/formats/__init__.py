"""Frames put into each format by code that shares nothing with the readers and writers under test."""
