"""Models for sherpa-onnx: `files` tells what lies in a folder and whether it is whole, `models` recognises with it."""
