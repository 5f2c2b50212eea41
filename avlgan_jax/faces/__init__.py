"""What a face is, without any network: emotions, landmarks, crops, films, detectors, and faces drawn from a seed."""
