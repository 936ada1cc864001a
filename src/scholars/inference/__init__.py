"""Use a scholar: predict, dream millions of images, describe, export."""
