"""Faces without trained models: emotions, landmarks, crops, videos, landmark detectors and procedural faces."""
