"""Tasks: labelled image data sets, and where they come from."""
