"""Networks to files and back: weights as safetensors, graphs as ONNX."""
