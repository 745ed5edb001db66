"""Where faces are in frames, and the crop that lies alike on each."""
