"""A folder of images with a CSV of labels."""
