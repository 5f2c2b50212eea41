"""What a person does with weights: edit faces and photographs, export bundles, make films."""
