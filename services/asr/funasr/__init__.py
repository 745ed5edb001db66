"""The protocol of FunASR's runtime."""
