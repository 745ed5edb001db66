"""From a recording or a photo to an avatar, in stages."""
