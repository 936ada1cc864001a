"""Devices, data-parallel processes, and Ray clusters."""
