"""Prepared data, from disk to a batch: the manifest, decoded records, batches and their augmentation."""
