"""Prepared data: manifests, decoded records, training batches and their augmentation."""
