"""What speed.py and scaling.py measure with."""
