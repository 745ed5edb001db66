"""Models for sherpa-onnx that speak: what lies in a folder, and the process in which they do."""
